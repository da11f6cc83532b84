"""Quality of `RowSGD` over learning rates and batch sizes: nothing may need tuning.

    python benchmarks/row_sgd_grid.py CORPUS [--cbow] [--rates ...] [--sizes ...]

Trains one epoch for each pair of a constant learning rate's start (falling as `linear_decay` does)
and tokens a step, and prints WordSim353 / SimLex999 / analogies of each.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from kerasw2v import CBOW, SkipGram, Vocabulary, block_dataset, layers, optimizers, to_keyed_vectors
from kerasw2v.data.counted_corpus import read_corpus
from kerasw2v.data.token_stream import TokenStream
from kerasw2v.evaluation import evaluate


def train(
    options: argparse.Namespace,
    stream: TokenStream,
    vocabulary: Vocabulary,
    rate: float,
    size: int,
) -> tuple[list[float | None], float]:
    """Returns WordSim353, SimLex999 and analogies, and the loss, of one training."""
    dataset = block_dataset(stream, vocabulary, batch_size=size, seed=1)
    noise = layers.NegativeSampling(vocabulary.counts, seed=1)
    model = (CBOW if options.cbow else SkipGram)(len(vocabulary), 100, noise, seed=1)
    model.compile(optimizers.RowSGD(optimizers.linear_decay(rate, len(dataset), epochs=1)))
    history = model.fit(dataset, verbose=0)
    found = evaluate(to_keyed_vectors(model, vocabulary))
    scores = [*(score.spearman for score in found.word_pairs), found.total.accuracy]
    return scores, history.history["loss"][0]


def main() -> None:
    """Runs the grid."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("corpus")
    parser.add_argument("--cbow", action="store_true")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.01, 0.025, 0.05, 0.1])
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 4096, 16384, 65536])
    options = parser.parse_args()
    vocabulary, stream = read_corpus(options.corpus)
    for size in options.sizes:
        for rate in options.rates:
            scores, loss = train(options, stream, vocabulary, rate, size)
            told = " / ".join("-" if score is None else f"{score:.3f}" for score in scores)
            print(f"{size:6} tokens, lr {rate:<5}: {told}, loss {loss:.3f}", flush=True)


if __name__ == "__main__":
    main()
