"""Interactive page of a model's neurons: influence on rare and common rows per checkpoint, and promoted tokens."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from rareneurons.conventions import WITHOUT_TYPES
from rareneurons.groups import FIXED_PREFIX, TOP_GROUPS
from rareneurons.report.page import packed, rendered, script_data

EFFECTS = ("mean_delta_loss", "se_delta_loss", "mean_abs_delta_loss", "se_abs_delta_loss")
SIZES = ("n_rows", "n_documents")
PROPERTIES = ("null_space_share", "frequency_share")
LENS = ("promoted", "suppressed")
PLATEAU = "plateau"
NO_GROUP = "no group"
OTHER_COLOUR = "#999999"


def neuron_frame(
    influence: pd.DataFrame, neurons: pd.DataFrame, groups: pd.DataFrame, conditions: Sequence[str]
) -> pd.DataFrame:
    """Everything that the page shows about one checkpoint's neurons.

    Args:
        influence: influence table, of which held-out rows of ``conditions`` are used.
        neurons: properties of the neurons and the tokens they promote and suppress.
        groups: group table.
        conditions: names of the conditions.

    Returns:
        One row per neuron: ``layer``, ``neuron``, ``expert`` in a mixture of experts, ``<condition>.<effect>`` in nats,
        ``<condition>.n_rows`` and ``n_documents``, the properties, the tokens, ``groups`` (names of all groups of the
        neuron), and ``group``, the regime that decides its colour. This is a regime of the fitted curve or, for a sign
        without fitted regimes, one by the fixed cuts.
    """
    heldout = influence[influence["split"] == "heldout"]
    frame = neurons[["layer", "neuron", *PROPERTIES, *LENS]].sort_values("neuron").reset_index(drop=True)
    for condition in conditions:
        mine = heldout[heldout["condition"] == condition].set_index("neuron").loc[frame["neuron"]]
        for column in (*EFFECTS, *SIZES):
            frame[f"{condition}.{column}"] = mine[column].to_numpy()
        if "expert" in mine and (mine["expert"] >= 0).all():
            frame["expert"] = mine["expert"].to_numpy()
    names = groups.groupby("neuron")["group"].agg(list).reindex(frame["neuron"])
    frame["groups"] = [tuple(found) if isinstance(found, list) else () for found in names]
    frame["group"] = [_regime(found) for found in frame["groups"]]
    return frame


def _regime(groups: Sequence[str]) -> str:
    """The regime that decides a neuron's colour. Regimes of the fitted curve precede those by the fixed cuts."""
    chosen = (*TOP_GROUPS, *WITHOUT_TYPES.values())
    regimes = [name for name in groups if name == PLATEAU or name not in chosen]
    return min(regimes, key=lambda name: (name.startswith(FIXED_PREFIX), name), default=NO_GROUP)


def neuron_page(
    model: str,
    checkpoints: Mapping[str, pd.DataFrame],
    token_text: Mapping[int, str],
    conditions: Sequence[str],
    colours: Mapping[str, str],
    pages: Mapping[str, str],
) -> str:
    """The page as HTML, of which Plotly is about 5 MB.

    Args:
        model: name of the model.
        checkpoints: name -> as :func:`neuron_frame` returns it, in the order of the slider. The page opens on the last.
        token_text: token id -> text in which every character is visible.
        conditions: two conditions, the first for the vertical axis.
        colours: group -> colour, in the order in which groups are listed.
        pages: model -> address of its page, including this model.
    """
    shown = [frame for frame in checkpoints.values() if len(frame)]
    named = {name for frame in shown for name in frame["group"]}
    groups = [*(name for name in colours if name in named), *sorted(named - set(colours))]
    ids = np.unique(np.concatenate([np.stack(list(frame[side])).ravel() for frame in shown for side in LENS]))
    combinations = list(dict.fromkeys(found for frame in shown for found in frame["groups"]))
    data = {
        "model": model,
        "conditions": list(conditions),
        "groups": [{"name": name, "colour": colours.get(name, OTHER_COLOUR)} for name in groups],
        "combinations": [list(found) for found in combinations],
        "tokens": [token_text.get(int(token), f"#{token}") for token in ids],
        "range": _range(shown, conditions),
        "checkpoints": [
            _columns(name, frame, conditions, groups, combinations, ids) for name, frame in checkpoints.items()
        ],
    }
    return rendered(
        "neurons.html",
        {
            "model": model,
            "conditions": list(conditions),
            "pages": pages,
            "several": len(checkpoints) > 1,
            "data": script_data(data),
            "plotly": Markup(get_plotlyjs()),  # noqa: S704  Plotly's own code
        },
    )


def _columns(
    name: str,
    frame: pd.DataFrame,
    conditions: Sequence[str],
    groups: list[str],
    combinations: list[tuple[str, ...]],
    ids: np.ndarray,
) -> dict[str, Any]:
    """Arrays of one checkpoint, with one or several consecutive numbers per neuron."""
    numbers = [*(f"{condition}.{effect}" for condition in conditions for effect in EFFECTS), *PROPERTIES]
    whole = ["neuron", "layer", *(["expert"] if "expert" in frame else [])]
    first = frame.iloc[0]
    return {
        "name": name,
        "rows": {c: [int(first[f"{c}.{size}"]) for size in SIZES] for c in conditions},
        "numbers": {column: packed(frame[column].to_numpy(dtype=np.float64)) for column in numbers},
        "whole": {column: packed(frame[column].to_numpy()) for column in whole}
        | {"group": packed(frame["group"].map(groups.index).to_numpy())}
        | {"combination": packed(frame["groups"].map(combinations.index).to_numpy())}
        | {side: packed(np.searchsorted(ids, np.stack(list(frame[side])))) for side in LENS},
    }


def _range(frames: Sequence[pd.DataFrame], conditions: Sequence[str]) -> list[float]:
    """Range of log10 of all effects (nats) of all checkpoints, with a margin."""
    effects = np.concatenate([frame[f"{c}.mean_abs_delta_loss"].to_numpy() for frame in frames for c in conditions])
    effects = np.log10(effects[effects > 0])
    low, high = (effects.min(), effects.max()) if len(effects) else (-1.0, 0.0)
    margin = 0.03 * (high - low) + 0.01
    return [float(low - margin), float(high + margin)]
