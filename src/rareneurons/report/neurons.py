"""Interactive page of a model's neurons: influence on rare and common rows per checkpoint, and promoted tokens.

A page is a small HTML file. Plotly, which all pages of a run share, and the data of each checkpoint and of the examples
are scripts beside it, because a browser loads scripts from the disk but no other files. A checkpoint's script is loaded
when the page shows that checkpoint.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rareneurons.conventions import MEASURED, WITHOUT_TYPES
from rareneurons.groups import FIXED_PREFIX, TOP_GROUPS
from rareneurons.report.page import packed, rendered, script_data, script_that_calls

EFFECTS = ("mean_delta_loss", "se_delta_loss", "mean_abs_delta_loss", "se_abs_delta_loss")
SIZES = ("n_rows", "n_documents")
PROPERTIES = ("null_space_share", "frequency_share")
LENS = ("promoted", "suppressed")
PLATEAU = "plateau"
NO_GROUP = "no group"
OTHER_COLOUR = "#999999"
ARRIVED = "arrived"  # the page's function that takes what a script brings, under a name


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


@dataclass(frozen=True)
class DescribedNeurons:
    """Neurons of which a page shows examples, at one checkpoint.

    ``by_group``: name of each measured group -> its neurons in the group's order.
    """

    checkpoint: str
    by_group: Mapping[str, list[int]]

    @classmethod
    def of(cls, checkpoint: str, groups: pd.DataFrame, top_examples: pd.DataFrame) -> "DescribedNeurons | None":
        """Those of a checkpoint with these groups that have examples; None where there are none."""
        shown = groups[groups["neuron"].isin(top_examples["neuron"])].sort_values("rank")
        members = {name: shown.loc[shown["group"] == name, "neuron"].tolist() for name in MEASURED}
        by_group = {name: found for name, found in members.items() if found}
        return cls(checkpoint, by_group) if by_group else None


class NeuronPage:
    """The page of one model's neurons, to which checkpoints are added one at a time.

    All checkpoints have the same neurons. ``folder`` is where the scripts that :meth:`add` and
    :func:`rareneurons.report.examples.examples_script` return are looked for, beside the page: a checkpoint's in
    ``<folder>/<checkpoint>.js``, the examples' in ``<folder>/examples.js``.
    """

    def __init__(self, model: str, conditions: Sequence[str], folder: str) -> None:
        """Of a model, with two conditions, the first for the vertical axis."""
        self.model, self.conditions, self.folder = model, list(conditions), folder
        self._checkpoints: list[str] = []
        self._neurons: dict[str, np.ndarray] = {}
        self._groups: set[str] = set()
        self._tokens: set[int] = set()
        self._ranges: list[tuple[float, float]] = []

    def add(self, checkpoint: str, frame: pd.DataFrame) -> str:
        """The script of a checkpoint, in the order of the slider. The page opens on the last.

        Args:
            checkpoint: its name.
            frame: as :func:`neuron_frame` returns it.
        """
        whole = [column for column in ("neuron", "layer", "expert") if column in frame]
        self._neurons = {column: frame[column].to_numpy() for column in whole}
        self._checkpoints.append(checkpoint)
        self._groups |= set(frame["group"])
        self._tokens |= {int(token) for side in LENS for token in np.unique(np.stack(list(frame[side])))}
        self._ranges += _ranges(frame, self.conditions)
        return script_that_calls(ARRIVED, checkpoint, _columns(frame, self.conditions))

    def html(
        self,
        token_text: Mapping[int, str],
        colours: Mapping[str, str],
        pages: Mapping[str, str],
        described: DescribedNeurons | None = None,
    ) -> str:
        """The page, after all checkpoints were added.

        Args:
            token_text: token id -> text in which every character is visible.
            colours: group -> colour, in the order in which groups are listed.
            pages: model -> address of its page, including this model.
            described: neurons of which there are examples; a page without any has no part about them.
        """
        ids = sorted(self._tokens)
        groups = [*(name for name in colours if name in self._groups), *sorted(self._groups - set(colours))]
        data = {
            "conditions": self.conditions,
            "folder": self.folder,
            "checkpoints": self._checkpoints,
            "groups": [{"name": name, "colour": colours.get(name, OTHER_COLOUR)} for name in groups],
            "neurons": {column: packed(values) for column, values in self._neurons.items()},
            "tokens": {"id": packed(np.array(ids)), "text": [token_text.get(token, f"#{token}") for token in ids]},
            "range": _with_margin(self._ranges),
            "described": described.by_group if described else {},
        }
        return rendered(
            "neurons.html",
            {
                "model": self.model,
                "conditions": self.conditions,
                "pages": pages,
                "several": len(self._checkpoints) > 1,
                "described_at": described.checkpoint if described else "",
                "data": script_data(data),
            },
        )


def _columns(frame: pd.DataFrame, conditions: Sequence[str]) -> dict[str, Any]:
    """Arrays of one checkpoint, with one or several consecutive numbers per neuron."""
    numbers = [*(f"{condition}.{effect}" for condition in conditions for effect in EFFECTS), *PROPERTIES]
    groups, group = np.unique(frame["group"].to_numpy(dtype=str), return_inverse=True)
    combinations = list(dict.fromkeys(frame["groups"]))
    first = frame.iloc[0]
    return {
        "rows": {c: [int(first[f"{c}.{size}"]) for size in SIZES] for c in conditions},
        "groups": groups.tolist(),
        "combinations": [list(found) for found in combinations],
        "arrays": {column: packed(frame[column].to_numpy(dtype=np.float64)) for column in numbers}
        | {"group": packed(group), "combination": packed(frame["groups"].map(combinations.index).to_numpy())}
        | {side: packed(np.stack(list(frame[side]))) for side in LENS},
    }


def _ranges(frame: pd.DataFrame, conditions: Sequence[str]) -> list[tuple[float, float]]:
    """Smallest and largest log10 of the effects above 0 (nats) of each condition that has any."""
    effects = [frame[f"{condition}.mean_abs_delta_loss"].to_numpy() for condition in conditions]
    found = [np.log10(each[each > 0]) for each in effects]
    return [(float(each.min()), float(each.max())) for each in found if len(each)]


def _with_margin(ranges: Sequence[tuple[float, float]]) -> list[float]:
    """Range of all ranges, with a margin."""
    low, high = (min(r[0] for r in ranges), max(r[1] for r in ranges)) if ranges else (-1.0, 0.0)
    margin = 0.03 * (high - low) + 0.01
    return [low - margin, high + margin]
