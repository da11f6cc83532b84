"""Odd corpora, counted by plain Python; corpora that change while they are read."""

import bz2
import gzip
import lzma
from collections import Counter
from functools import partial

import numpy as np
from cases import expected

ALPHABETS = [
    "ab",
    "abcdefgh",
    "aàâä\u0301ß\u1e9e",
    "東京都日本",
    "\U0001f600\U0001f4a9\u200d\u200b",
    "a\x00\x01\x7f\ufeff",
    "\u0627\u0628\u062a",
    "\ud7ff\ue000\uffff",
]
# Everything that `str.split` splits at, and line feeds, which end sentences.
BLANKS = [" ", "  ", "\t", "\r", "\x0b", "\x0c", "\x1c", "\x1f", "\x85", "\xa0", "\u2028", "\u3000"]
OPENERS = {"": open, ".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def random_text(rng):
    alphabet = rng.choice(ALPHABETS)
    length = rng.choice([1, 3, 8, 8, 8, 300])
    words = ["".join(rng.choices(alphabet, k=rng.randint(1, length))) for _ in range(40)]
    blanks = BLANKS if rng.random() < 0.5 else [" "]
    # Some lines are longer than a chunk of the reader, 64 KiB.
    longest = rng.choice([0, 3, 30, 30, 30, 30_000 if rng.random() < 0.2 else 30])
    lines = []
    for _ in range(rng.choice([0, 1, 5, 20])):
        parts = []
        for word in rng.choices(words, k=rng.randint(0, longest)):
            parts += [word, rng.choice(blanks)]
        lines.append("".join(parts))
    return "\n".join(lines) + rng.choice(["", "\n", "\n\n"])


def plainly_read(texts):
    """Sentences with words, by the definition: lines at line feeds, words by `str.split`."""
    return [words for text in texts for line in text.split("\n") if (words := line.split())]


def cases(plan):
    from kerasw2v import Vocabulary, read_corpus
    from kerasw2v.data.token_stream import word_ids

    rng = plan.random()
    folder = plan.new_folder()

    def counted(texts, suffix, as_lists, min_count):
        sentences = plainly_read(texts)
        if as_lists:
            corpus = sentences
        else:
            corpus = [folder / f"{number}.txt{suffix}" for number in range(len(texts))]
            for path, text in zip(corpus, texts, strict=True):
                with OPENERS[suffix](path, "wb") as file:
                    file.write(text.encode())
        counts = Counter(word for words in sentences for word in words)
        kept = {word: count for word, count in counts.items() if count >= min_count}
        if not kept:
            with expected(ValueError):
                read_corpus(corpus, min_count)
            return
        order = sorted(kept, key=lambda word: (-kept[word], word))
        for vocabulary in (
            Vocabulary.from_corpus(corpus, min_count),
            read_corpus(corpus, min_count)[0],
        ):
            assert vocabulary.words == order
            assert vocabulary.counts.tolist() == [kept[word] for word in order]
            assert vocabulary.corpus_words == sum(counts.values())
            assert vocabulary.corpus_sentences == len(sentences)
        tokens = np.concatenate(list(read_corpus(corpus, min_count)[1].chunks()))
        ids = {word: number for number, word in enumerate(order)}
        known = [[ids[word] for word in words if word in kept] for words in sentences]
        assert word_ids(tokens).tolist() == [number for words in known for number in words]
        lengths = [len(words) for words in known if words]
        starts = np.cumsum([0, *lengths])[:-1]
        assert np.flatnonzero(tokens < 0).tolist() == starts.tolist()

    for number in range(plan.number(100, 1000)):
        texts = [random_text(rng) for _ in range(rng.choice([1, 1, 1, 3]))]
        suffix, as_lists = rng.choice([*OPENERS, ""]), rng.random() < 0.25
        yield f"{number}", partial(counted, texts, suffix, as_lists, rng.choice([1, 1, 2, 5]))


class Changing:
    """A corpus that has other sentences each time it is begun."""

    def __init__(self, sentences, sizes):
        self.sentences, self.sizes, self.begun = sentences, sizes, 0

    def __iter__(self):
        size = self.sizes[min(self.begun, len(self.sizes) - 1)]
        self.begun += 1
        return iter(self.sentences[:size])


def changing(plan):
    """A corpus that grows or shrinks in training: trained on, or refused in one sentence."""
    from gensim.models.callbacks import CallbackAny2Vec

    from kerasw2v import Word2Vec

    rng = plan.random()
    words = [f"w{i}" for i in range(30)]

    def sentences(number):
        return [rng.choices(words, k=rng.randint(1, 20)) for _ in range(number)]

    class Rewrite(CallbackAny2Vec):
        """Makes the file longer, shorter or empty, or removes it, at the end of an epoch."""

        def __init__(self, path, how):
            self.path, self.how = path, how

        def on_epoch_end(self, model):
            if self.how == "removed":
                self.path.unlink(missing_ok=True)
            elif self.how == "longer":
                self.path.write_text(self.path.read_text() * 2)
            else:
                text = self.path.read_text()
                self.path.write_text(text[: len(text) // 2 if self.how == "shorter" else 0])

    def check(model):
        assert np.isfinite(model.wv.vectors).all()
        assert all(np.isfinite(model.epoch_losses)), model.epoch_losses

    def iterable(sizes, options):
        corpus = Changing(sentences(max(sizes)), sizes)
        try:
            check(Word2Vec(corpus, vector_size=8, min_count=1, epochs=len(sizes) - 1, **options))
        except (ValueError, TypeError, RuntimeError) as error:
            is_sentence = len(str(error).splitlines()) == 1
            assert is_sentence, error  # noqa: PT017

    def file(how, options):
        path = plan.new_folder() / "corpus.txt"
        path.write_text("\n".join(map(" ".join, sentences(200))) + "\n")
        callbacks = [Rewrite(path, how)]
        check(
            Word2Vec(
                corpus_file=str(path),
                vector_size=8,
                min_count=1,
                epochs=3,
                callbacks=callbacks,
                **options,
            )
        )

    for sg in (0, 1):
        for hs in (0, 1):
            options = {"sg": sg, "hs": hs, "negative": 0 if hs else 5, "seed": 1}
            for _ in range(plan.number(2, 20)):
                sizes = [rng.choice([0, 1, 50, 200, 400]) for _ in range(4)]
                yield f"sentences, {sizes}, {options}", partial(iterable, sizes, options)
            for how in ("longer", "shorter", "empty", "removed"):
                yield f"a file that is {how}, {options}", partial(file, how, options)
