"""What a configuration and the library must agree on: steps, layers, names with a meaning, the first position.

It uses only the standard library, so that the plan of a run needs no package that computes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rareneurons.errors import ConfigurationError

FIRST_POSITION = 3  # positions 0-2 have too little context; the paper leaves them out too
SHUFFLED_PREFIX = "shuffled_"  # begins the name of a condition whose labels were shuffled
NOISE = "noise"  # the condition of neurons whose true effects are zero
# How the names of files end that documents are read from.
READABLE_SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".json.gz", ".csv", ".txt", ".parquet")
LAST_UNTRAINED = 1  # steps 0 and 1 have the same weights where warm-up begins at learning rate 0
ALL_MODELS = "all"  # in place of a model's name where a row of claims is about all models
TOP_SIZE = 33  # neurons before the paper's first fixed cut, ln rank 3.5
TOP = "top_33"  # the TOP_SIZE neurons with the largest influence on rare rows
SELECTIVE = "selective_33"  # as many, with the largest excess of influence on rare rows over common ones
# The same choice among neurons that are neither token-frequency nor entropy neurons (Stolfo et al. 2024).
WITHOUT_TYPES = {TOP: "top_33_without_types", SELECTIVE: "selective_33_without_types"}
MEASURED = ("plateau", "suppress_plateau", TOP, SELECTIVE)  # groups that are measured and get controls


def checkpoint_steps(steps: int, every: int) -> list[int]:
    """Pythia's spacing: 0, 1, 2, 4, ... 512, then every ``every`` steps, and the last step.

    Biderman et al. 2023 (arXiv 2304.01373), section 2; ``checkpoint_steps(143000, 1000)`` are their 154 steps.

    Examples:
        >>> checkpoint_steps(3000, 1000)
        [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 2000, 3000]
    """
    early = [0, *(2**exponent for exponent in range(10))]
    later = range(every, steps + 1, every)
    return sorted({step for step in [*early, *later, steps] if step <= steps})


def neurons_of_mlp(model: Mapping[str, Any]) -> int:
    """Neurons per layer of a model that is trained here, or per expert, by its entry; 4 d unless it says otherwise."""
    return model.get("intermediate_size", 4 * model["hidden_size"])


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
