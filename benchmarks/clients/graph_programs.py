"""Programs that train vectors of the nodes of graphs, on a planted graph."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tasks import DIM, GROUPS, NODES, accuracy, planted_graph


def node2vec() -> str:
    from node2vec import Node2Vec

    walks = Node2Vec(
        planted_graph(), DIM, walk_length=40, num_walks=10, workers=1, quiet=True, seed=1
    )
    model = walks.fit(window=5, min_count=1, epochs=2, seed=1)
    return accuracy([model.wv[str(node)] for node in range(NODES)])


def _karateclub(name: str, *features: Any, **arguments: Any) -> str:
    import karateclub

    model = getattr(karateclub, name)(dimensions=DIM, workers=1, seed=1, **arguments)
    model.fit(planted_graph(), *features)
    return accuracy(model.get_embedding())


def karateclub_deepwalk() -> str:
    return _karateclub("DeepWalk", epochs=2, walk_length=40)


def karateclub_node2vec() -> str:
    return _karateclub("Node2Vec", epochs=2, walk_length=40, walk_number=5)


def karateclub_walklets() -> str:
    return _karateclub("Walklets", epochs=2, walk_length=40, walk_number=5)


def karateclub_diff2vec() -> str:
    return _karateclub("Diff2Vec", diffusion_cover=20, epochs=2)


def karateclub_sine() -> str:
    """Each node has three of the ten features of its group."""
    from scipy.sparse import coo_matrix

    nodes = np.repeat(np.arange(NODES), 3)
    features = nodes // (NODES // GROUPS) * 10 + np.random.default_rng(2).integers(10, size=600)
    known = coo_matrix((np.ones(600), (nodes, features)), shape=(NODES, GROUPS * 10))
    return _karateclub("SINE", known, epochs=2, walk_length=20, walk_number=2, window_size=3)


def pecanpy() -> str:
    from pecanpy.pecanpy import SparseOTF

    with _edge_file("{a}\t{b}") as path:
        graph = SparseOTF(p=1, q=1, workers=1, verbose=False, random_state=1)
        graph.read_edg(str(path), weighted=False, directed=False)
    vectors = graph.embed(dim=DIM, num_walks=10, walk_length=40, window_size=5, epochs=2)
    return accuracy(vectors, graph.nodes)


def fastnode2vec() -> str:
    from fastnode2vec import Graph, Node2Vec

    edges = [(str(a), str(b)) for a, b in planted_graph().edges]
    graph = Graph(edges, directed=False, weighted=False)
    model = Node2Vec(graph, dim=DIM, walk_length=40, window=5, workers=1, seed=1)
    model.train(epochs=10)
    return accuracy([model.wv[str(node)] for node in range(NODES)])


def henhoe2vec() -> str:
    from henhoe2vec import henhoe2vec

    with _edge_file("{a}\tlayer\t{b}\tlayer") as path:
        henhoe2vec.run(
            str(path), str(path.parent), dims=DIM, walk_length=40, num_walks=10, epochs=2, workers=1
        )
        lines = (path.parent / "embeddings.csv").read_text().splitlines()
    rows = [line.replace("'", "").replace("(", "").split("\t") for line in lines]
    return accuracy([row[-DIM:] for row in rows], [row[0].split(",")[0] for row in rows])


def nodevectors() -> str:
    import networkx
    from nodevectors import Node2Vec
    from scipy.sparse import csr_matrix

    edges = csr_matrix(networkx.to_numpy_array(planted_graph()))
    model = Node2Vec(n_components=DIM, threads=1, verbose=False, w2vparams={"window": 5})
    return accuracy(model.fit_transform(edges))


def deepwalk() -> str:
    from deepwalk.skipgram import Skipgram

    walks = [list(map(str, edge)) for edge in planted_graph().edges]
    return f"{len(Skipgram(sentences=walks, size=DIM).wv)} words"


def pyrdf2vec() -> str:
    from pyrdf2vec.embedders import Word2Vec

    return _pyrdf2vec(Word2Vec(vector_size=DIM, workers=1, epochs=10, sg=1, seed=1))


def pyrdf2vec_fasttext() -> str:
    """It gives the model vectors of a class of its own, which finds the n-grams."""
    from pyrdf2vec.embedders import FastText

    arguments = {"vector_size": DIM, "workers": 1, "epochs": 10, "sg": 1, "seed": 1}
    return _pyrdf2vec(FastText(bucket=10_000, negative=5, **arguments))


def _pyrdf2vec(embedder: Any) -> str:
    from pyrdf2vec import RDF2VecTransformer
    from pyrdf2vec.graphs import KG, Vertex
    from pyrdf2vec.walkers import RandomWalker

    graph = KG()
    for subject, _, target in _triples():
        vertices = Vertex(subject), Vertex(target)
        edge = Vertex("n:knows", predicate=True, vprev=vertices[0], vnext=vertices[1])
        graph.add_walk(vertices[0], edge, vertices[1])
    model = RDF2VecTransformer(embedder, [RandomWalker(4, 20, random_state=1)])
    vectors, _ = model.fit_transform(graph, [f"n:{node}" for node in range(NODES)])
    return accuracy(vectors)


def pysqlitekg2vec() -> str:
    from pysqlitekg2vec import RDF2VecTransformer
    from pysqlitekg2vec.embedders import Word2Vec
    from pysqlitekg2vec.graphs import open_from
    from pysqlitekg2vec.walkers import RandomWalker

    model = RDF2VecTransformer(
        Word2Vec(vector_size=DIM, workers=1, epochs=10, sg=1, seed=1),
        [RandomWalker(4, 20, random_state=1)],
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.db"
        with open_from(_triples(), db_file_path=str(path)) as graph:
            entities = graph.entities([f"n:{node}" for node in range(NODES)])
            vectors, _ = model.fit_transform(graph, entities)
            names = [name.removeprefix("n:") for name, _ in graph.pack(entities, vectors)]
    return accuracy(vectors, names)


def _triples() -> list[tuple[str, str, str]]:
    """Returns the planted graph as statements, each edge in both directions."""
    edges = list(planted_graph().edges)
    both = edges + [(b, a) for a, b in edges]
    return [(f"n:{a}", "n:knows", f"n:{b}") for a, b in both]


@contextlib.contextmanager
def _edge_file(line: str) -> Iterator[Path]:
    """Writes the planted graph to a file, and removes it and its folder in the end."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "edges.tsv"
        path.write_text("".join(line.format(a=a, b=b) + "\n" for a, b in planted_graph().edges))
        yield path
