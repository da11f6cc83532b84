"""What a training step would cost on a GPU, on paper: `python benchmarks/gpu_count.py [MODEL ...]`.

Walks the traced graph of a step (MODELS of `step_time.py`, 84,000 words, 100 dimensions) and counts
its ops; those that run on the host on any machine (HOST_OPS); those whose shapes are known only
when they run; those that start a kernel, where a call that XLA compiles counts as one; and bytes
and FLOPs. Bytes are those of the inputs and results of each kernel, and of the rows that a compiled
update reads and writes; FLOPs are those of matrix products. Ops on numbers of up to SMALL bytes are
left out: they cost a launch at most.

Then the time that each bound allows, for 4,096 to 65,536 tokens a step, by the published numbers of
GPUS: bytes over bandwidth, FLOPs over throughput, and kernels times the time to start one.
"""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import tensorflow as tf
from step_time import MODELS, blocks_of, model_of, zipf_counts

# Run on the host on any machine: they make or look at what is no array of numbers.
HOST_OPS = {
    "IteratorGetNextAsOptional", "OptionalGetValue", "OptionalHasValue", "StringFormat",
    "LookupTableFindV2", "Where", "Assert", "PyFunc", "EagerPyFunc",
}  # fmt: skip
# Neither work nor a kernel: constants, shapes, names for tensors.
FREE = {
    "Const", "Placeholder", "Identity", "NoOp", "Shape", "Reshape", "ExpandDims", "Squeeze",
    "StopGradient", "Pack", "ReadVariableOp", "Size", "Rank", "IdentityN", "EnsureShape",
    "StridedSlice", "PreventGradient", "ShapeN", "BroadcastGradientArgs",
}  # fmt: skip
CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
SMALL = 256  # bytes: numbers that a host computes


class Gpu(NamedTuple):
    """Published numbers: bytes/s, float32 FLOPs/s outside of tensor cores, seconds a launch."""

    bandwidth: float
    flops: float
    launch: float


GPUS = {"H100 SXM": Gpu(3.35e12, 67e12, 4e-6), "L4": Gpu(0.3e12, 30.3e12, 4e-6)}


def step_graph(name: str) -> Any:
    """The graph of one step, as `fit` traces it."""
    counts = zipf_counts(84_000)
    model = model_of(name, counts, 1)
    model.optimizer.build(model.trainable_variables)
    blocks = tf.constant(blocks_of(counts, model.block_length, MODELS[name][2], 1)[0])
    step = tf.function(lambda batch: model.train_step((batch,)), autograph=False)
    return step.get_concrete_function(blocks).graph


def leaves(graph: Any) -> Iterator[tuple[Any, bool]]:
    """Yields the ops of a graph and of the functions that it calls; True for compiled calls."""
    for op in graph.get_operations():
        if op.type not in CALLS:
            yield op, False
            continue
        name = op.get_attr("f").name
        function = graph._get_function(name)
        if "_XlaMustCompile" in op.node_def.attr:
            yield op, True
        elif function is not None and function.graph is not None:
            yield from leaves(function.graph)
        else:
            yield op, False


def size_of(tensor: Any) -> int | None:
    """Bytes of a tensor; None if its shape is unknown."""
    if tensor.dtype in (tf.resource, tf.variant, tf.string):
        return 0
    number = tensor.shape.num_elements()
    return None if number is None else number * tensor.dtype.size


def flops_of(op: Any) -> int:
    """FLOPs of a matrix product."""
    if op.type not in ("MatMul", "BatchMatMulV2"):
        return 0
    left = op.inputs[0].shape
    is_turned = op.get_attr("adj_x" if op.type == "BatchMatMulV2" else "transpose_a")
    inner = left[-2] if is_turned else left[-1]
    results = op.outputs[0].shape.num_elements()
    return 2 * (inner or 0) * (results or 0)


def count(name: str) -> dict[str, Any]:
    """The counts of a step."""
    kernels, on_host, moved, flops, unknown = 0, Counter(), 0, 0, Counter()
    ops = 0
    for op, is_compiled in leaves(step_graph(name)):
        ops += 1
        if op.type in FREE:
            continue
        sizes = [size_of(each) for each in (*op.inputs, *op.outputs)]
        if any(size is None for size in sizes):
            unknown[op.type] += 1
        known = sum(size or 0 for size in sizes)
        if not is_compiled and known <= SMALL:
            continue
        kernels += 1
        moved += known
        flops += flops_of(op)
        if op.type in HOST_OPS:
            on_host[op.type] += 1
        if is_compiled and any(each.dtype == tf.resource for each in op.inputs):
            # The rows of a table that are updated: read and written, as many as there are values.
            moved += 2 * max(size_of(each) or 0 for each in op.inputs)
    return {
        "ops": ops,
        "kernels": kernels,
        "on the host": dict(on_host),
        "shapes unknown": dict(unknown),
        "MB": moved / 1e6,
        "MFLOPs": flops / 1e6,
    }


def main(names: list[str]) -> None:
    for name in names:
        counts = count(name)
        tokens = MODELS[name][2]
        print(f"{name}, {tokens:,} tokens: {counts}")
        for gpu, (bandwidth, flops, launch) in GPUS.items():
            for size in (4096, 16384, 65536):
                bounds = {
                    "bandwidth": counts["MB"] * 1e6 * size / tokens / bandwidth,
                    "FLOPs": counts["MFLOPs"] * 1e6 * size / tokens / flops,
                    "launches": counts["kernels"] * launch,
                }
                text = ", ".join(f"{key} {1e3 * value:.3f} ms" for key, value in bounds.items())
                speed = size / max(bounds.values()) / 1e6
                print(f"  {gpu}, {size:,} tokens: {text}; at most {speed:.0f} million tokens/s")


if __name__ == "__main__":
    main(sys.argv[1:] or ["skip-gram-ns", "cbow-ns"])
