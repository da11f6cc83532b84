"""Small graphs and texts: what `Word2Vec` learns from few words is what gensim learns from them."""

from typing import NamedTuple

import gensim.models
import numpy as np
import pytest

from kerasw2v import Word2Vec

SEEDS = 10
# Zachary's karate club, 1977: who met whom outside it, and which club each joined when it split.
FRIENDS = """
0 1 2 3 4 5 6 7 8 10 11 12 13 17 19 21 31|1 2 3 7 13 17 19 21 30|2 3 7 8 9 13 27 28 32|3 7 12 13
4 6 10|5 6 10 16|6 16|8 30 32 33|9 33|13 33|14 32 33|15 32 33|18 32 33|19 33|20 32 33|22 32 33
23 25 27 29 32 33|24 25 27 31|25 31|26 29 33|27 33|28 31 33|29 32 33|30 32 33|31 32 33|32 33
"""
CLUBS = "0000000001000011001010111111111111"


class Task(NamedTuple):
    """A corpus for each seed, the class of each word, and how to train."""

    corpora: list[list[list[str]]]
    classes: dict[str, int]
    arguments: dict[str, int]


def karate_club(rng):
    """340 walks of 80, ten from each member."""
    near = {member: [] for member in range(34)}
    for line in FRIENDS.replace("\n", "|").strip("|").split("|"):
        member, *others = map(int, line.split())
        for other in others:
            near[member].append(other)
            near[other].append(member)
    walks = []
    for _ in range(10):
        for member in rng.permutation(34):
            walk = [int(member)]
            while len(walk) < 80:
                walk.append(near[walk[-1]][rng.integers(len(near[walk[-1]]))])
            walks.append(list(map(str, walk)))
    return walks


def planted_text(rng, words, topics, sentences):
    """Sentences of twelve words: each of the sentence's topic, or in a fifth of cases of any."""
    size = words // topics
    shares = 1 / np.arange(1, size + 1)
    text = []
    for topic in rng.integers(topics, size=sentences):
        of = np.where(rng.random(12) < 0.2, rng.integers(topics, size=12), topic)
        drawn = rng.choice(size, 12, p=shares / shares.sum())
        text.append([f"{each}-{word}" for each, word in zip(of, drawn, strict=True)])
    return text


def text_task(words, topics, sentences, **arguments):
    corpora = [
        planted_text(np.random.default_rng(seed), words, topics, sentences) for seed in range(SEEDS)
    ]
    found = set.intersection(*({word for line in text for word in line} for text in corpora))
    arguments = {"vector_size": 32, "window": 5, "min_count": 1, **arguments}
    return Task(corpora, {word: int(word.split("-")[0]) for word in found}, arguments)


def karate_task():
    corpora = [karate_club(np.random.default_rng(seed)) for seed in range(SEEDS)]
    arguments = {"vector_size": 128, "window": 10, "min_count": 0, "sg": 1, "epochs": 1}
    return Task(corpora, {str(i): int(club) for i, club in enumerate(CLUBS)}, arguments)


TASKS = {
    "karate club": karate_task,
    "30 words": lambda: text_task(30, 3, 300, sg=1, epochs=10),
    "1,000 words": lambda: text_task(1000, 5, 2000, sg=1, epochs=2),
}


def trained(kind, task):
    """Yields the vectors of ten trainings: one model, so that ours is compiled once."""
    model = kind(**task.arguments, workers=1, seed=1)
    model.build_vocab([line for corpus in task.corpora for line in corpus])
    scale = 2 / model.vector_size
    for seed, corpus in enumerate(task.corpora):
        rng = np.random.default_rng(seed)
        model.wv.vectors[:] = (rng.random(model.wv.vectors.shape) - 0.5) * scale
        model.syn1neg[:] = 0
        model.min_alpha_yet_reached = model.alpha
        model.train(corpus, total_examples=len(corpus), epochs=model.epochs)
        yield np.array([model.wv[word] for word in sorted(task.classes)], np.float64)


def of_directions(vectors, classes):
    """Accuracy of the nearest mean direction, each vector left out of its own class' mean."""
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    products = units @ units.T
    np.fill_diagonal(products, 0)
    members = np.eye(classes.max() + 1)[classes]
    return np.mean((products @ members / (members.sum(0) - members)).argmax(1) == classes)


def of_regression(vectors, classes):
    """Accuracy of logistic regression with the usual penalty: short vectors tell it nothing."""
    folds = np.random.default_rng(0).permutation(len(classes)) % 5
    right = 0
    for fold in range(5):
        x, y = vectors[folds != fold], np.eye(classes.max() + 1)[classes[folds != fold]]
        mean = x.mean(0)
        x = x - mean
        weights, bias = np.zeros((x.shape[1], y.shape[1])), y.mean(0)
        step = 1 / (0.5 * np.linalg.norm(x, 2) ** 2 + 1)
        for _ in range(100):
            logits = x @ weights + bias
            errors = np.exp(logits - logits.max(1, keepdims=True))
            errors = errors / errors.sum(1, keepdims=True) - y
            weights -= step * (x.T @ errors + weights)
            bias = bias - errors.mean(0)
        guess = ((vectors[folds == fold] - mean) @ weights + bias).argmax(1)
        right += np.sum(guess == classes[folds == fold])
    return right / len(classes)


MEASURES = (of_directions, of_regression)


@pytest.mark.parametrize(
    "task",
    [
        pytest.param(task, id=name, marks=[pytest.mark.slow] * (name == "1,000 words"))
        for name, task in TASKS.items()
    ],
)
def test_few_words_teach_as_much_as_in_gensim(task):
    task = task()
    classes = np.array([task.classes[word] for word in sorted(task.classes)])
    theirs, ours = (
        np.array([[of(each, classes) for of in MEASURES] for each in trained(kind, task)])
        for kind in (gensim.models.Word2Vec, Word2Vec)
    )
    chance = np.bincount(classes).max() / len(classes)
    assert (theirs.mean(axis=0) > chance + 0.1).all(), "gensim learns nothing: no comparison"
    # A step sees a few sentences at once, gensim one pair: that may cost this much and no more.
    assert (ours.mean(axis=0) > theirs.mean(axis=0) - 0.05).all()
