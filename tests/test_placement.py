"""What a GPU would run of a training step, read from the graph: no GPU is needed to know."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import kernels

from kerasw2v import CBOW, SkipGram
from kerasw2v.layers import NegativeSampling
from kerasw2v.optimizers import RowSGD

V = 1000


def traced_step(model_class, policy):
    counts = np.arange(V, 0, -1)
    layer = NegativeSampling(counts, dtype=policy, seed=1)
    model = model_class(V, 8, layer, dtype=policy, seed=1)
    model.compile(RowSGD(0.05))
    model.optimizer.build(model.trainable_variables)
    blocks = tf.TensorSpec((4, model.block_length + 2 * model.window), tf.int32)
    return model, tf.function(model.train_step).get_concrete_function(blocks)


def nodes_of(concrete):
    """All nodes of a graph and of the functions it calls, and the names of those XLA compiles."""
    graph = concrete.graph.as_graph_def()
    functions = {each.signature.name: each for each in graph.library.function}
    nodes = list(graph.node) + [node for each in functions.values() for node in each.node_def]
    compiled = {name for name, each in functions.items() if each.attr["_XlaMustCompile"].b}
    inside = {id(node) for name in compiled for node in functions[name].node_def}
    return [node for node in nodes if id(node) not in inside], compiled


def device_types(op):
    return {kernel.device_type for kernel in kernels.get_registered_kernels_for_op(op).kernel}


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("model_class", [SkipGram, CBOW])
def test_no_op_of_a_step_is_bound_to_the_cpu(model_class, policy):
    if "GPU" not in device_types("ResourceGather"):
        pytest.skip("This build of TensorFlow knows no kernels for GPUs.")
    _, concrete = traced_step(model_class, policy)
    nodes, compiled = nodes_of(concrete)
    assert len(nodes) > 100
    assert len(compiled) >= 5  # the chains of small ops, and both updates
    pinned = {node.name: node.device for node in nodes if "CPU" in node.device.upper()}
    assert pinned == {}
    without = {
        node.op
        for node in nodes
        if device_types(node.op) and not device_types(node.op) & {"GPU", "DEFAULT"}
    }
    assert without == set()
    # Nothing goes through Python, and no shape has to be known on the host before work goes on.
    waiting = {"PyFunc", "EagerPyFunc", "Where", "Unique", "UniqueV2", "DynamicPartition"}
    assert not waiting & {node.op for node in nodes}


def test_the_check_finds_what_is_bound_to_the_cpu():
    if "GPU" not in device_types("ResourceGather"):
        pytest.skip("This build of TensorFlow knows no kernels for GPUs.")
    assert not device_types("FixedUnigramCandidateSampler") & {"GPU", "DEFAULT"}


@pytest.mark.parametrize("model_class", [SkipGram, CBOW])
def test_mixed_precision_trains_as_full_precision_does(model_class):
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, V, (4, 42)).astype(np.int32)
    tables = []
    for policy in ("float32", "mixed_bfloat16"):
        model, concrete = traced_step(model_class, policy)
        losses = [float(concrete(tf.constant(blocks))["loss"]) for _ in range(16)]
        table = model.embedding.embeddings
        assert (table.dtype, model.compute_dtype) == (
            "float32",
            policy.removeprefix("mixed_"),
        )
        assert losses[-1] < losses[0]
        tables.append(table.numpy())
    full, half = tables
    # bfloat16 keeps 8 bits of the rows and slopes of each step.
    np.testing.assert_allclose(half, full, atol=0.03 * np.abs(full).max())
