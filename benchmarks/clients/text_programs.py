"""Programs that train vectors of words, of peaks, of k-mers and of items in baskets."""

import os
import tempfile
from pathlib import Path

import numpy as np
from client_import import Word2Vec
from tasks import (
    DIM,
    GROUPS,
    accuracy_of_groups,
    group_of_word,
    nearest_group,
    planted_texts,
)


def wefe() -> str:
    from gensim.test.utils import lee_corpus_list
    from wefe.metrics import WEAT
    from wefe.query import Query
    from wefe.word_embedding_model import WordEmbeddingModel

    vectors = Word2Vec(lee_corpus_list, vector_size=50, epochs=20, workers=1, seed=1).wv
    places, people = ["australia", "sydney", "afghanistan"], ["police", "government", "forces"]
    query = Query([places, people], [["city", "south"], ["officials", "troops"]])
    result = WEAT().run_query(query, WordEmbeddingModel(vectors, "lee"))
    return f"WEAT {result['weat']:.2f}"


def gensim_tutorial() -> str:
    """What gensim's tutorial does with the class, on the corpus that gensim ships."""
    from gensim.test.utils import lee_corpus_list

    model = Word2Vec(sentences=lee_corpus_list, workers=1, seed=1, compute_loss=True)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model")
        model.save(path)
        model = Word2Vec.load(path)
    more = [["advanced", "users", "can", "load", "a", "model"]]
    model.build_vocab(more, update=True)
    model.train(more, total_examples=model.corpus_count, epochs=model.epochs)
    similar = [word for word, _ in model.wv.most_similar("fire", topn=3)]
    return f"{len(model.wv)} words, {len(similar)} neighbours"


def spec2vec() -> str:
    """Spectra of four kinds of molecules; saves the model in the middle, exports it in the end."""
    from matchms import Spectrum
    from spec2vec import Spec2Vec, SpectrumDocument
    from spec2vec.model_building import train_new_word2vec_model
    from spec2vec.serialization import export_model

    draw = np.random.default_rng(4)
    kinds = np.arange(200) % GROUPS
    peaks = np.where(draw.random((200, 12)) < 0.7, kinds[:, None], draw.integers(GROUPS))
    positions = np.sort(100 + 40 * peaks + draw.integers(40, size=(200, 12)))
    spectra = [Spectrum(mz.astype(float), np.linspace(0.5, 1, 12)) for mz in positions]
    documents = [SpectrumDocument(spectrum, n_decimals=0) for spectrum in spectra]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "spectra.model")
        arguments = {"vector_size": DIM, "workers": 1, "seed": 1}
        model = train_new_word2vec_model(documents, [10, 20], path, **arguments)
        loaded = Word2Vec.load(os.path.join(folder, "spectra_iter_10.model"))
        export_model(model, f"{path}.json", f"{path}.npy")
    scores = Spec2Vec(model, intensity_weighting_power=0.5).matrix(documents, documents)
    return f"{nearest_group(scores, kinds):.2f} of spectra, {len(loaded.wv)} peaks"


def product2vec() -> str:
    """Baskets of four shelves: the products that go with one are of its shelf."""
    from product2vec import EpochLogger, Product2Vec

    baskets, _ = planted_texts()
    model = Product2Vec(
        vector_size=DIM, min_count=1, workers=1, seed=1, epochs=20, callbacks=[EpochLogger()]
    )
    model.fit(baskets)
    found = [
        group_of_word(other) == group_of_word(product)
        for product in model.model_.wv.index_to_key
        for other, _ in model.show_complements(product)
    ]
    return f"{np.mean(found):.2f} of complements"


def skembeddings() -> str:
    from skembeddings.models.word2vec import Word2VecEmbedding

    texts, groups = planted_texts()
    model = Word2VecEmbedding(DIM, algorithm="sg", epochs=10, random_state=1)
    vectors = model.fit(texts).transform(texts)
    saved = "saved" if model.to_bytes() else "not saved"
    return f"{accuracy_of_groups(vectors, groups)}, {saved}"


def fse() -> str:
    from fse import SIF, IndexedList

    texts, groups = planted_texts()
    words = Word2Vec(texts, vector_size=DIM, min_count=1, workers=1, sg=1, epochs=10, seed=1)
    model = SIF(words, workers=1)
    model.train(IndexedList(texts))
    return accuracy_of_groups(model.sv.vectors, groups)


def zeugma() -> str:
    from zeugma.embeddings import EmbeddingTransformer

    texts, groups = planted_texts()
    words = Word2Vec(texts, vector_size=DIM, min_count=1, workers=1, sg=1, epochs=10, seed=1)
    transformer = EmbeddingTransformer(words.wv)
    return accuracy_of_groups(transformer.transform([" ".join(text) for text in texts]), groups)


def generic_iterative_stemmer() -> str:
    """Finds words that are stems of others, and vectors of all from one corpus of stems."""
    from generic_iterative_stemmer.training.stemming.w2v_stemming_trainer import (
        Word2VecStemmingTrainer,
    )

    texts, groups = planted_texts()
    with tempfile.TemporaryDirectory() as folder:
        lines = [" ".join(text) + "\n" for text in texts]
        (Path(folder) / "corpus.txt").write_text("".join(lines))
        arguments = {"vector_size": DIM, "min_count": 1, "epochs": 10, "seed": 1}
        trainer = Word2VecStemmingTrainer(
            folder, max_iterations=1, default_training_params=arguments
        )
        trainer.train()
        vectors = trainer.get_stemmed_keyed_vectors()
        means = [np.mean([vectors[word] for word in text], axis=0) for text in texts]
    return accuracy_of_groups(means, groups)


def compass() -> str:
    """temporal-embeddings-compass: vectors of two times, aligned by those of both."""
    from cade import TWEC

    texts, _ = planted_texts()
    aligner = TWEC(size=DIM, min_count=1, workers=1)
    aligner.train_compass(sentences=texts)
    return f"{len(aligner.train_slice(sentences=texts[:200]).wv)} words"


def biovec() -> str:
    from biovec.models import ProtVec

    return f"{len(ProtVec(corpus=planted_texts()[0], size=DIM).wv)} words"


def mol2vec() -> str:
    from mol2vec.features import train_word2vec_model

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "molecules"
        path.write_text("864674487 2154640335 864674487\n" * 50)
        return f"{len(train_word2vec_model(str(path), min_count=1).wv)} words"


def cade() -> str:
    from cade.cade import CADE

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "compass.txt"
        path.write_text("a rose is a rose\n" * 50)
        aligner = CADE(size=10, opath=folder)
        aligner.train_compass(str(path), overwrite=False)
        return f"{len(aligner.compass.wv)} words"
