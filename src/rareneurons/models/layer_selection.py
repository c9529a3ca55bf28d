"""Which layers a configuration means."""

from collections.abc import Sequence

from rareneurons.errors import ConfigurationError


def layers_asked_for(asked: Sequence[int] | str, n_layers: int, model: str) -> list[int]:
    """Layers that ``other_layers.layers`` means for a model: the listed ones, or every layer below the last.

    Args:
        asked: layer indices, or ``all``.
        n_layers: layers the model has.
        model: its name, for the message.

    Raises:
        ConfigurationError: the model lacks a listed layer, or has no layer below the last.
    """
    if isinstance(asked, str):
        if n_layers < 2:
            raise ConfigurationError(
                f"other_layers.layers: found 'all', but {model} has {n_layers} layer and none below it; "
                "list layers, or leave it empty"
            )
        return list(range(n_layers - 1))
    for layer in asked:
        if layer >= n_layers:
            raise ConfigurationError(
                f"other_layers.layers: found {layer}, but {model} has {n_layers} layers; expected 0 to {n_layers - 1}"
            )
    return list(asked)
