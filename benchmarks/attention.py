"""Time and agreement of ways to measure what every attention head does to a group of neurons and to the loss.

``python benchmarks/attention.py results/bench`` measures these methods in one run on the same documents, and
``--shape llama_135m`` on a model of 30 layers with 9 heads (some ten minutes):

* ``hooked``: one whole pass of the transformers model per head and kind of ablation, with the head replaced by a hook,
  as with TransformerLens or nnsight; timed on a few heads and extrapolated to all
* ``exact``: every head in each kind of ablation, run again from its own layer upwards
* ``screened``: first-order effects of every head in each kind of ablation, by random signs
* ``screened_then_exact``: the same, and exact ablation of the heads that it names and of a sample of the others, which
  is what the workflow does

``layer_evaluations`` are per document, ``seconds`` of all documents, ``ratio_to_ours`` is over ``screened``.
``rank_correlation`` is Spearman's over all heads with the exact effects on the group's rare rows, in mean ablation.
``missed_of_top`` counts those of the ten heads with the largest exact effects that the screen does not name.
``other_cores`` is how many cores other processes used meanwhile, on average; ratios from a busy machine say so.
"""

import argparse
import os
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from influence import BUSY, OtherProcesses, random_model
from scipy.stats import spearmanr

from rareneurons.attention.choice import choose_heads
from rareneurons.attention.heads import (
    KINDS,
    Ablation,
    ChosenHeads,
    every_head,
    heads_of_layers,
    layer_evaluations,
    reachable_layers,
)
from rareneurons.attention.on_neurons import readout_weights
from rareneurons.attention.routing import head_effects
from rareneurons.attention.row_reader import RowReader
from rareneurons.attention.screening import screen_heads, screening_evaluations
from rareneurons.groups import ControlledGroup
from rareneurons.models.architectures import architecture_of
from rareneurons.rows import candidate_rows
from rareneurons.tokens import Blocks

SIZES = ("kind", "hidden", "mlp", "layers", "heads", "vocabulary")
SHAPES = {
    "demo": dict(zip(SIZES, ("gpt_neox", 128, 512, 4, 4, 4096), strict=True)),
    "llama_135m": dict(zip(SIZES, ("llama", 576, 1536, 30, 9, 49152), strict=True)),
}
LENGTH = {"demo": 96, "llama_135m": 20}  # tokens per document
DOCUMENTS = 10
GROUP, CONTROLS = 33, 100  # neurons of the group, and its control groups
CANDIDATES, SAMPLE = 10, 10  # as in config.yaml
SIGN_DRAWS = 2  # for these few documents
BATCH, TOGETHER = 10, 8  # documents and ablations per pass
HOOKED = 3  # heads that are timed
TOP = 10
COLUMNS = [
    *("shape", "method", "heads", "documents", "layer_evaluations", "seconds"),
    *("ratio_to_ours", "rank_correlation", "missed_of_top", "other_cores"),
]


class Case:
    """A model with random weights, documents of random tokens, and a group of random neurons with its controls."""

    def __init__(self, shape: str) -> None:
        torch.manual_seed(0)
        rng = np.random.default_rng(0)
        model = random_model(**SHAPES[shape], rows=0).eval().requires_grad_(False)
        self.architecture = architecture_of(model)
        tokens = rng.integers(2, SHAPES[shape]["vocabulary"], size=(DOCUMENTS, LENGTH[shape])).astype(np.int32)
        self.blocks = Blocks(tokens, np.full(DOCUMENTS, LENGTH[shape], np.int32), np.arange(DOCUMENTS))
        self.rows = candidate_rows(self.blocks)
        rare = self.rows["target"].to_numpy() % 2 == 0
        self.masks = np.stack([rare, ~rare])
        neurons = SHAPES[shape]["mlp"]
        drawn = np.stack([rng.permutation(neurons)[:GROUP] for _ in range(CONTROLS)])
        self.groups = {"group": ControlledGroup(rng.permutation(neurons)[:GROUP], {"random": drawn, "matched": drawn})}
        self.reachable = heads_of_layers(self.architecture, reachable_layers(self.architecture))

    def readouts(self, varies: np.ndarray) -> dict[str, np.ndarray]:
        return readout_weights(self.groups, varies) | {"all": varies / varies.sum()}

    def exact(self, heads: ChosenHeads) -> tuple[dict, int]:
        """Effects (heads) of mean ablation on the group's rare rows, and layer evaluations per document."""
        ablations = [Ablation("head", kind, (head,)) for kind in KINDS for head in heads.measured(kind)]
        effects = head_effects(
            self.architecture, self.blocks, self.rows, self.masks, ablations, self.readouts, {}, BATCH, TOGETHER
        )
        sums = effects.by_document["group"][:, 0].sum(1) / effects.rows[0].sum()
        means = {each.heads[0]: sums[n] for n, each in enumerate(ablations) if each.kind == "mean"}
        return means, layer_evaluations(self.architecture.n_layers, ablations)

    def screened(self):
        """The heads that a screen names, and its layer evaluations per document."""
        rng = np.random.default_rng(1)
        reader = RowReader(self.architecture, self.blocks, self.rows, BATCH)
        screen = screen_heads(reader, self.masks, self.readouts, SIGN_DRAWS, rng, lambda _: None)
        choice = choose_heads(screen, ["group"], self.reachable, CANDIDATES, SAMPLE, rng)
        return choice, screening_evaluations(self.architecture.n_layers, 3, 2, SIGN_DRAWS)

    @torch.inference_mode()
    def hooked(self) -> tuple[float, int]:
        """Seconds of whole passes for all heads, from a few of them, and layer evaluations per document."""
        architecture, tokens = self.architecture, torch.from_numpy(self.blocks.tokens.astype(np.int64))
        started = time.perf_counter()
        for layer, head in self.reachable[:: max(1, len(self.reachable) // HOOKED)][:HOOKED]:
            columns = architecture.head_columns(layer, head)
            handle = architecture.attention_output(layer).register_forward_pre_hook(partial(without, columns))
            architecture.model(input_ids=tokens, use_cache=False)
            handle.remove()
        passes = len(KINDS) * architecture.n_layers * architecture.n_heads
        seconds = (time.perf_counter() - started) / HOOKED * passes
        return seconds, passes * architecture.n_layers


def without(columns, _module, inputs):
    """Inputs of an output projection with a head at zero."""
    held = inputs[0].clone()
    held[..., columns] = 0
    return (held,)


def timed(work, *arguments):
    """What a function returns, and its seconds."""
    started = time.perf_counter()
    found = work(*arguments)
    return found, time.perf_counter() - started


def compared(shape: str) -> pd.DataFrame:
    """All methods on one shape."""
    case = Case(shape)
    everyone = every_head(case.architecture)
    with OtherProcesses() as others:
        hooked_seconds, hooked_evaluations = case.hooked()
        (choice, screen_evaluations), screen_seconds = timed(case.screened)
        (_, chosen_evaluations), chosen_seconds = timed(case.exact, choice.heads)
        (exact, exact_evaluations), exact_seconds = timed(case.exact, everyone)
    first_order = dict(zip(choice.screen.heads, choice.effects["group"], strict=True))
    rho = float(spearmanr([exact[head] for head in case.reachable], [first_order[head] for head in case.reachable])[0])
    top = sorted(case.reachable, key=exact.__getitem__)[-TOP:]
    missed = len(set(top) - {*choice.heads.candidates, *choice.heads.strongest})
    records = [
        ("hooked", hooked_evaluations, hooked_seconds, 1.0, 0),
        ("exact", exact_evaluations, exact_seconds, 1.0, 0),
        ("screened", screen_evaluations, screen_seconds, rho, missed),
        ("screened_then_exact", screen_evaluations + chosen_evaluations, screen_seconds + chosen_seconds, rho, missed),
    ]
    names = ["method", "layer_evaluations", "seconds", "rank_correlation", "missed_of_top"]
    found = pd.DataFrame(records, columns=names).assign(
        shape=shape, heads=len(choice.screen.heads), documents=DOCUMENTS, other_cores=others.cores
    )
    return found.assign(ratio_to_ours=found["seconds"] / screen_seconds)[COLUMNS]


def with_marked_ratios(table: pd.DataFrame) -> pd.DataFrame:
    """The table with ratios as text; those from a busy machine say so."""
    text = table["ratio_to_ours"].map("{:.3g}".format)
    return table.assign(ratio_to_ours=text.where(table["other_cores"] <= BUSY, text + " (busy machine)"))


def main() -> None:
    """Measure, print and write attention.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where attention.csv goes")
    parser.add_argument("--shape", choices=SHAPES, default="demo")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    table = compared(arguments.shape)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(arguments.folder / "attention.csv", index=False)
    print(with_marked_ratios(table).to_string(index=False, float_format="%.3g"))


if __name__ == "__main__":
    main()
