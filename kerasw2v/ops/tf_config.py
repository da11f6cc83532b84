"""The cluster that the environment variable `TF_CONFIG` names, as TensorFlow's users know it."""

import json
import os


def tf_config() -> tuple[list[str], int] | None:
    """Returns the addresses of all workers, the chief first, and which of them this process is.

    None if `TF_CONFIG` is not set, or does not say so.

    Example:

    >>> os.environ["TF_CONFIG"] = json.dumps(
    ...     {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}
    ... )
    >>> tf_config()
    (['a:1', 'b:1'], 1)
    >>> del os.environ["TF_CONFIG"]
    >>> tf_config()
    """
    try:
        config = json.loads(os.environ["TF_CONFIG"])
        jobs, task = config["cluster"], config["task"]
        chiefs = jobs.get("chief", [])
        index = int(task["index"]) + (len(chiefs) if task["type"] == "worker" else 0)
        return [*chiefs, *jobs.get("worker", [])], index
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
