"""A model's neurons and their examples as files that Neuronpedia imports.

The layout is that of Neuronpedia's own exports, ``<model>/<layer>-<source set>/``: ``release.jsonl``, ``model.jsonl``,
``sourceset.jsonl``, ``source.jsonl``, and ``features``, ``activations`` and ``explanations``, in compressed batches.
"""

import gzip
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rareneurons.export.contents import EFFECTS, EXAMPLES, PAPER, ModelTables, Publication
from rareneurons.export.neuronpedia_lines import (
    Activation,
    Explanation,
    Feature,
    Line,
    Model,
    Release,
    Source,
    SourceSet,
)
from rareneurons.tokens import SPACES

CREATOR_ID = "clkht01d40000jv08hvalcvly"  # the user to whom a fresh Neuronpedia database ascribes imported data
SOURCE_SET = "rare-neurons"
BATCH = 1024  # neurons per file, as in Neuronpedia's exports
NAMED = 5  # tokens that an explanation names
OF_SYMBOL = str.maketrans({symbol: character for character, symbol in SPACES.items()})


@dataclass(frozen=True)
class _Names:
    """What all lines of a model share."""

    model: str
    set_name: str
    layer: str
    creator_id: str
    publication: Publication

    @property
    def of_neuron(self) -> dict[str, Any]:
        return {"model_id": self.model, "layer": self.layer, "created_at": self.publication.made}

    def id_of(self, *parts: object) -> str:
        """The same id whenever the same line is written, so that importing twice adds nothing."""
        text = "/".join(map(str, (self.model, self.layer, *parts)))
        return f"c{hashlib.sha256(text.encode()).hexdigest()[:24]}"


def identifier(name: str) -> str:
    """A name as Neuronpedia takes it: letters, digits, dashes and underscores, in lower case."""
    return re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-")


def write_neuronpedia(found: ModelTables, publication: Publication, folder: Path, creator_id: str = CREATOR_ID) -> Path:
    """Write a model's neurons, contexts and computed explanations for Neuronpedia.

    Every line is checked against the columns of Neuronpedia's database before it is written.

    Args:
        found: the tables; neurons are those that have examples.
        publication: who publishes.
        folder: gets the folder ``<model>/<source>``.
        creator_id: id of a user of the Neuronpedia database.

    Returns:
        The source's folder.

    Raises:
        ValidationError: (pydantic) a line is not what Neuronpedia takes.
    """
    influence = found.tables["influence"]
    layer = int(influence["layer"].iloc[0])
    names = _Names(identifier(found.name.model), SOURCE_SET, f"{layer}-{SOURCE_SET}", creator_id, publication)
    target = folder / names.model / names.layer
    target.mkdir(parents=True, exist_ok=True)
    for file, line in _about(found, names, layer, int(influence["neuron"].nunique())):
        (target / file).write_text(f"{line.as_json()}\n", encoding="utf-8")
    examples = found.tables[EXAMPLES]
    neurons = np.sort(examples["neuron"].unique())
    for batch, start in enumerate(range(0, len(neurons), BATCH)):
        mine = neurons[start : start + BATCH]
        contexts = examples[examples["neuron"].isin(mine)]
        _write_batch(target / "features", batch, features(contexts, names))
        _write_batch(target / "activations", batch, activations(contexts, names))
        _write_batch(target / "explanations", batch, explanations(found, mine, names))
    return target


def _about(found: ModelTables, names: _Names, layer: int, n_neurons: int) -> Iterator[tuple[str, Line]]:
    """File -> its line, for what all neurons have in common."""
    publication = names.publication
    shared: dict[str, Any] = {"creator_id": names.creator_id, "created_at": publication.made}
    release = identifier(f"{SOURCE_SET}-{found.run}")
    checkpoint = f"{found.name.model}, {found.name.checkpoint}"
    described = "Neurons of the last MLP that matter for rare tokens"
    by: dict[str, Any] = {"creator_name": publication.creator, "urls": [PAPER]}
    yield "release.jsonl", Release(name=release, description=f"{described}: {found.run}", **by, **shared)
    yield (
        "model.jsonl",
        Model(
            id=names.model,
            display_name=found.name.model,
            display_name_short=found.name.model,
            layers=layer + 1,
            neurons_per_layer=n_neurons,
            owner=publication.creator,
            **shared,
        ),
    )
    yield (
        "sourceset.jsonl",
        SourceSet(
            model_id=names.model, name=names.set_name, description=described, release_name=release, **by, **shared
        ),
    )
    notes = f"{checkpoint}; run {found.run}; exported with {publication.code}; licence {publication.licence}"
    yield (
        "source.jsonl",
        Source(id=names.layer, model_id=names.model, set_name=names.set_name, notes=notes, **shared),
    )


def features(examples: pd.DataFrame, names: _Names) -> Iterator[Feature]:
    """One line per neuron."""
    for neuron, mine in examples.groupby("neuron"):
        largest = max(max(values) for values in mine["window_activation"])
        yield Feature(
            index=str(neuron),
            source_set_name=names.set_name,
            creator_id=names.creator_id,
            max_act_approx=float(largest),
            **names.of_neuron,
        )


def activations(examples: pd.DataFrame, names: _Names) -> Iterator[Activation]:
    """One line per neuron and context, whatever the number of kinds that the context is an example of."""
    for row in examples.drop_duplicates(["neuron", "block", "position"]).to_dict("records"):
        values = [float(value) for value in row["window_activation"]]
        yield Activation(
            id=names.id_of(row["neuron"], row["block"], row["position"]),
            index=str(row["neuron"]),
            tokens=[text.translate(OF_SYMBOL) for text in row["window_text"]],
            values=values,
            max_value=max(values),
            max_value_token_index=int(np.argmax(values)),
            min_value=min(values),
            qualifying_token_index=int(row["window_row"]),
            data_index=str(row["document"]),
            creator_id=names.creator_id,
            **names.of_neuron,
        )


def explanations(found: ModelTables, neurons: Iterable[int], names: _Names) -> Iterator[Explanation]:
    """One line per neuron: its mean effect, and the rare tokens that it helps most. No language model wrote them."""
    effects = found.tables[EFFECTS]
    (condition,) = effects["condition"].unique()
    influence = found.tables["influence"]
    here = influence[(influence["condition"] == condition) & (influence["split"] == "heldout")]
    of_neuron = {int(row["neuron"]): row for row in here.to_dict("records")}
    notes = f"computed by {names.publication.code} on held-out rows of the condition {condition}; no language model"
    for neuron in neurons:
        mean, error, n_rows = (of_neuron[neuron][key] for key in ("mean_delta_loss", "se_delta_loss", "n_rows"))
        mine = effects[(effects["neuron"] == neuron) & (effects["mean_delta_loss"] > 0)].nlargest(
            NAMED, "mean_delta_loss"
        )
        helped = ", ".join(repr(text.translate(OF_SYMBOL)) for text in mine["target_text"])
        yield Explanation(
            id=names.id_of(neuron, "explanation"),
            index=str(neuron),
            description=(
                f"Ablating it changes the loss of {condition} tokens by {mean:+.5f} nats on average (standard error "
                f"{error:.5f}, {int(n_rows)} rows). It helps most with: {helped or 'none of them'}"
            ),
            author_id=names.creator_id,
            notes=notes,
            **names.of_neuron,
        )


def _write_batch(folder: Path, batch: int, lines: Iterable[Line]) -> None:
    folder.mkdir(exist_ok=True)
    text = "".join(f"{line.as_json()}\n" for line in lines)
    (folder / f"batch-{batch}.jsonl.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
