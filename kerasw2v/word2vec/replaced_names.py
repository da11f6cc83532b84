"""Names of gensim's modules that belong to its engine."""

from collections.abc import Mapping


def check_not_replaced(module: str, name: str, replacements: Mapping[str, str]) -> None:
    """Raises AttributeError for a name of a module that must be replaced; it says by what."""
    if name in replacements:
        raise AttributeError(
            f"`{name}` must be replaced by {replacements[name]}: it belongs to gensim's engine. "
            f"Received: {module}.{name}."
        )
