"""What the traced step of a model depends on: its variables, and a key for everything else."""

import json
from typing import Any

import tensorflow as tf

from kerasw2v.ops.shared_traces import Place, SharedTrace

# Of a config: what only names things, or makes the first values of variables.
_FOR_VALUES = frozenset({"name", "seed", "embeddings_initializer"})

# Methods that Keras replaces in every layer.
_WRAPPED = frozenset({"build", "quantize"})


def shared_trace(model: Any, step: str) -> SharedTrace | None:
    """Returns what lets models that look alike share the trace of a step, of that name.

    None where it is not known what a trace depends on: for classes of others, whose configs need
    not say everything, and under a strategy.
    """
    layers = model._flatten_layers(include_self=False)
    parts = [model, model.optimizer, *layers]
    if not all(map(_says_all, parts)):
        return None
    if any(map(_has_methods_of_its_own, parts)):
        return None
    if not _is_without_strategy(model) or tf.config.functions_run_eagerly():
        return None
    if not model.optimizer.built:  # it would make its variables while it is traced
        model.optimizer.build(model.trainable_variables)
    configs = json.dumps([_config(part) for part in parts], sort_keys=True)
    policies = tuple(part.dtype_policy.name for part in (model, *layers))
    are_trained = tuple(variable.trainable for variable in model.variables)
    places = _places(model)  # an optimizer may keep more than others
    key = step, tuple(map(type, parts)), policies, are_trained, configs, len(places)
    return SharedTrace(key, places)


def _says_all(part: Any) -> bool:
    """Whether a part's class is of this package, and none of its methods was replaced."""
    if not type(part).__module__.startswith("kerasw2v."):
        return False
    own = {name for name, each in vars(part).items() if callable(each)} - _WRAPPED
    return not any(callable(getattr(type(part), name, None)) for name in own)


def _places(model: Any) -> list[Place]:
    """Returns where the variables of a model and its optimizer are held, each of them once."""
    variables = [*model.variables, *model.metrics_variables, *model.optimizer.variables]
    places = {id(variable): Place(variable, "_value") for variable in variables}
    return [*places.values(), *model.optimizer.other_places()]


def _has_methods_of_its_own(part: Any) -> bool:
    """Whether a method of an object was replaced, other than by Keras itself."""
    replaced = {
        name
        for name, value in vars(part).items()
        if callable(value) and callable(getattr(type(part), name, None))
    }
    return bool(replaced - {"build", "quantize"})


def _is_without_strategy(model: Any) -> bool:
    if tf.distribute.has_strategy():
        return False
    with model.distribute_strategy.scope():
        return not tf.distribute.has_strategy()


def _config(part: Any) -> dict[str, Any]:
    config = part.trace_config() if hasattr(part, "trace_config") else part.get_config()
    return {key: value for key, value in config.items() if key not in _FOR_VALUES}
