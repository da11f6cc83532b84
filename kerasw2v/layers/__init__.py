"""Keras layers: embedding lookup, and output layers that make a large softmax cheap."""

from kerasw2v.layers.adaptive_softmax import AdaptiveSoftmax
from kerasw2v.layers.binary_code import BinaryCode
from kerasw2v.layers.candidates import Candidates
from kerasw2v.layers.class_softmax import ClassSoftmax
from kerasw2v.layers.embedding_lookup import EmbeddingLookup
from kerasw2v.layers.embedding_prediction import EmbeddingPrediction
from kerasw2v.layers.full_softmax import FullSoftmax
from kerasw2v.layers.hierarchical_softmax import HierarchicalSoftmax
from kerasw2v.layers.importance_sampling import ImportanceSampling
from kerasw2v.layers.in_batch_softmax import InBatchSoftmax
from kerasw2v.layers.nce import NCE
from kerasw2v.layers.negative_sampling import NegativeSampling
from kerasw2v.layers.output_layer import OutputLayer, outputs_are_losses
from kerasw2v.layers.sampled_softmax import SampledSoftmax
from kerasw2v.layers.streaming_probabilities import StreamingProbabilities
from kerasw2v.layers.subword_lookup import SubwordLookup
from kerasw2v.layers.sum_of_losses import SumOfLosses

__all__ = [
    "NCE",
    "AdaptiveSoftmax",
    "BinaryCode",
    "Candidates",
    "ClassSoftmax",
    "EmbeddingLookup",
    "EmbeddingPrediction",
    "FullSoftmax",
    "HierarchicalSoftmax",
    "ImportanceSampling",
    "InBatchSoftmax",
    "NegativeSampling",
    "OutputLayer",
    "SampledSoftmax",
    "StreamingProbabilities",
    "SubwordLookup",
    "SumOfLosses",
    "outputs_are_losses",
]
