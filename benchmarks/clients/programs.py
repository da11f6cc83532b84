"""Small tasks for programs that use gensim's `Word2Vec`: one process runs one of them.

    python programs.py NAME ENGINE

`run.py` starts it. The last line that it prints is JSON: the result and the seconds of the task,
without the time that imports take, or the error.
"""

import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

_NODES, _GROUPS, _DIM = 200, 4, 32


def planted_graph() -> Any:
    """Returns a graph of 200 nodes in four groups; one edge in four leads to another group."""
    import networkx

    size = _NODES // _GROUPS
    return networkx.planted_partition_graph(_GROUPS, size, 6 / (size - 1), 2 / 150, seed=3)


def accuracy(vectors: Any, nodes: Any = range(_NODES)) -> str:
    """Returns how well logistic regression tells the groups, and nearest directions do."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score

    vectors = np.asarray(vectors, np.float64)
    classes = np.array([int(node) // (_NODES // _GROUPS) for node in nodes])
    regression = cross_val_score(LogisticRegression(max_iter=1000), vectors, classes, cv=5).mean()
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    products = units @ units.T
    np.fill_diagonal(products, 0)
    nearest = (products @ np.eye(_GROUPS)[classes]).argmax(axis=1)
    return f"{regression:.2f}, {np.mean(nearest == classes):.2f}"


def node2vec() -> str:
    from node2vec import Node2Vec

    walks = Node2Vec(
        planted_graph(), _DIM, walk_length=40, num_walks=10, workers=1, quiet=True, seed=1
    )
    model = walks.fit(window=5, min_count=1, epochs=2, seed=1)
    return accuracy([model.wv[str(node)] for node in range(_NODES)])


def _karateclub(name: str, **arguments: Any) -> str:
    import karateclub

    model = getattr(karateclub, name)(dimensions=_DIM, workers=1, seed=1, **arguments)
    model.fit(planted_graph())
    return accuracy(model.get_embedding())


def karateclub_deepwalk() -> str:
    return _karateclub("DeepWalk", epochs=2, walk_length=40)


def karateclub_node2vec() -> str:
    return _karateclub("Node2Vec", epochs=2, walk_length=40, walk_number=5)


def karateclub_walklets() -> str:
    return _karateclub("Walklets", epochs=2, walk_length=40)


def karateclub_diff2vec() -> str:
    return _karateclub("Diff2Vec", diffusion_cover=20, epochs=2)


def pecanpy() -> str:
    from pecanpy.pecanpy import SparseOTF

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "edges.tsv"
        edges = [f"{a}\t{b}" for a, b in planted_graph().edges]
        path.write_text("\n".join(edges) + "\n")
        graph = SparseOTF(p=1, q=1, workers=1, verbose=False, random_state=1)
        graph.read_edg(str(path), weighted=False, directed=False)
    vectors = graph.embed(dim=_DIM, num_walks=10, walk_length=40, window_size=5, epochs=2)
    return accuracy(vectors, graph.nodes)


def fastnode2vec() -> str:
    from fastnode2vec import Graph, Node2Vec

    edges = [(str(a), str(b)) for a, b in planted_graph().edges]
    graph = Graph(edges, directed=False, weighted=False)
    model = Node2Vec(graph, dim=_DIM, walk_length=40, window=5, workers=1, seed=1)
    model.train(epochs=20)
    return accuracy([model.wv[str(node)] for node in range(_NODES)])


def pyrdf2vec() -> str:
    from pyrdf2vec import RDF2VecTransformer
    from pyrdf2vec.embedders import Word2Vec
    from pyrdf2vec.graphs import KG, Vertex
    from pyrdf2vec.walkers import RandomWalker

    graph = KG()
    for a, b in planted_graph().edges:
        for subject, target in ((a, b), (b, a)):
            subject, target = Vertex(f"n:{subject}"), Vertex(f"n:{target}")
            edge = Vertex("n:knows", predicate=True, vprev=subject, vnext=target)
            graph.add_walk(subject, edge, target)
    names = [f"n:{node}" for node in range(_NODES)]
    model = RDF2VecTransformer(
        Word2Vec(vector_size=_DIM, workers=1, epochs=5, min_count=0, seed=1),
        [RandomWalker(4, 20, random_state=1)],
    )
    vectors, _ = model.fit_transform(graph, names)
    return accuracy(vectors)


def wefe() -> str:
    from client_import import Word2Vec
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
    from client_import import Word2Vec
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


PROGRAMS: dict[str, Callable[[], str]] = {
    "node2vec": node2vec,
    "karateclub: DeepWalk": karateclub_deepwalk,
    "karateclub: Node2Vec": karateclub_node2vec,
    "karateclub: Walklets": karateclub_walklets,
    "karateclub: Diff2Vec": karateclub_diff2vec,
    "pecanpy": pecanpy,
    "fastnode2vec": fastnode2vec,
    "pyrdf2vec": pyrdf2vec,
    "wefe": wefe,
    "gensim's tutorial": gensim_tutorial,
    "mol2vec": mol2vec,
    "cade": cade,
}


def main() -> None:
    """Runs one task and prints its outcome."""
    name, engine = sys.argv[1:]
    importlib.import_module("gensim.models")
    if engine == "kerasw2v":
        getattr(importlib.import_module("kerasw2v"), "Word2Vec")  # noqa: B009 (imports TensorFlow)
    if ":" not in name and "'" not in name:
        importlib.import_module(name)
    begin = time.perf_counter()
    try:
        outcome = {"result": PROGRAMS[name]()}
    except Exception as error:  # any: it is the result
        outcome = {"error": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
    print("\n" + json.dumps({**outcome, "seconds": time.perf_counter() - begin}))


if __name__ == "__main__":
    main()
