"""Keras layers: embedding lookup, and output layers that make a large softmax cheap."""

from kerasw2v.layers.embedding_lookup import EmbeddingLookup
from kerasw2v.layers.full_softmax import FullSoftmax
from kerasw2v.layers.negative_sampling import NegativeSampling
from kerasw2v.layers.output_layer import OutputLayer

__all__ = ["EmbeddingLookup", "FullSoftmax", "NegativeSampling", "OutputLayer"]
