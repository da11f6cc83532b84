"""Corpora that are no texts, through the same class, at toy size with a known answer."""

import numpy as np

from kerasw2v import Word2Vec


def neighbours(model, key, count):
    return {near for near, _ in model.wv.most_similar(key, topn=count)}


def test_baskets_to_items():
    """item2vec: brands that nobody buys together are alike because they go with the same things."""
    rng = np.random.default_rng(0)
    brands = {"butter": ["butter-a", "butter-b", "butter-c"], "paint": ["paint-a", "paint-b"]}
    company = {"butter": ["bread", "jam", "milk", "honey"], "paint": ["brush", "tape", "roller"]}
    baskets = []
    for _ in range(1500):
        kind = rng.choice(["butter", "paint"])
        basket = [rng.choice(brands[kind]), *rng.choice(company[kind], 2, replace=False)]
        baskets.append([str(item) for item in rng.permutation(basket)])
    model = Word2Vec(
        baskets,
        vector_size=16,
        window=max(map(len, baskets)),  # a basket has no order
        shrink_windows=False,
        min_count=1,
        sample=0,
        sg=1,
        epochs=10,
        seed=1,
    )
    together = [set(basket) for basket in baskets]
    assert not any({"butter-a", "butter-b"} <= basket for basket in together)
    assert neighbours(model, "butter-a", 2) == {"butter-b", "butter-c"}
    assert neighbours(model, "paint-a", 1) == {"paint-b"}
    for item in company["paint"]:
        assert neighbours(model, item, 4) <= {*company["paint"], *brands["paint"]}


def test_walks_on_a_graph():
    """DeepWalk, node2vec with p = q = 1: a ring of cliques falls into its cliques."""
    cliques, size = 5, 6
    rng = np.random.default_rng(1)
    nodes = range(cliques * size)
    edges = {
        node: [other for other in nodes if other // size == node // size and other != node]
        for node in nodes
    }
    for clique in range(cliques):
        last, following = clique * size, (clique + 1) % cliques * size + 1
        edges[last].append(following)
        edges[following].append(last)
    walks = []
    for start in [*nodes] * 20:
        walk = [start]
        for _ in range(19):
            walk.append(rng.choice(edges[walk[-1]]))
        walks.append([f"node{node}" for node in walk])
    model = Word2Vec(walks, vector_size=16, window=3, min_count=1, sg=1, epochs=5, seed=1)
    for node in nodes:
        clique = {f"node{other}" for other in nodes if other // size == node // size}
        assert neighbours(model, f"node{node}", size - 1) == clique - {f"node{node}"}
