"""The figures of a run: what draws each, from which files and settings, and its section of the report.

A figure's caption is ``workflow/report/<name>.rst``. docs/adding_a_figure.md shows how to add one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rareneurons.conventions import MEASURED, SELECTIVE, TOP
from rareneurons.planning.derived_settings import (
    all_conditions,
    always,
    condition_pair,
    has_firmness,
    has_several_checkpoints,
    has_trained_models,
    middle_top,
)
from rareneurons.planning.report_sections import (
    ATTENTION,
    BESIDE_THE_PAPER,
    COORDINATION,
    COURSE_OF_TRAINING,
    JOINT,
    KNOWN_TYPES,
    MODELS_AND_DATA,
    ORGANIZATION,
    REGIMES,
    SPECTRA,
    Section,
)

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Source:
    """Files that a drawing function gets as one table.

    ``file`` is a file's name. ``of`` says whose: a table of the ``run``; of all ``checkpoints`` or of each model's
    ``last checkpoints``; of the ``trained models``; or the token counts that those were ``trained on``. ``rows`` says
    which rows of it: all, those of ``heldout`` documents, or those of the ``last checkpoints``.
    """

    file: str
    of: Literal["run", "checkpoints", "last checkpoints", "trained models", "trained on"] = "run"
    rows: Literal["all", "heldout", "last checkpoints"] = "all"


def last(file: str, rows: Literal["all", "heldout"] = "all") -> Source:
    """A file of each model's last checkpoint."""
    return Source(file, "last checkpoints", rows)


def no_settings(_config: Config) -> dict[str, Any]:
    """For a figure that its files alone decide."""
    return {}


@dataclass(frozen=True)
class Figure:
    """A figure, drawn by ``function`` (``module:name``) of ``rareneurons.figures``.

    The function gets the table of each of the ``sources`` and each of the ``settings`` under its own name. ``exists``:
    whether a configuration has the figure.
    """

    name: str
    section: Section
    function: str
    sources: Mapping[str, Source]
    settings: Callable[[Config], Mapping[str, Any]] = no_settings
    exists: Callable[[Config], bool] = always

    @property
    def module(self) -> str:
        """Module of the function, for the digest of the figure's code."""
        return f"rareneurons.figures.{self.function.partition(':')[0]}"


def pair(config: Config) -> dict[str, Any]:
    """Settings of a figure of both conditions."""
    return {"conditions": condition_pair(config)}


def of_groups(config: Config) -> dict[str, Any]:
    """Settings of a figure of the measured groups, on rows of the condition that the claims are about."""
    return {"groups": MEASURED, "condition": config["groups"]["condition"]}


# In the order in which the report shows a section's figures.
FIGURES: dict[str, Figure] = {
    figure.name: figure
    for figure in (
        Figure(
            "rank_influence",
            REGIMES,
            "regimes:rank_influence",
            {
                "influence": last("influence.parquet", "heldout"),
                "regimes": last("regimes.parquet"),
                "no_plateau": last("no_plateau_bands.parquet"),
            },
            lambda config: pair(config) | {"cuts": config["regimes"]["cuts"]},
        ),
        Figure(
            "regimes",
            REGIMES,
            "regimes:regimes_by_step",
            {"regimes": Source("regimes.csv")},
            lambda config: pair(config) | {name: config["regimes"][name] for name in ("flatness", "excess", "alpha")},
        ),
        Figure(
            "threshold_sweep",
            REGIMES,
            "regimes:threshold_sweep",
            {"regimes": Source("regimes.csv", rows="last checkpoints")},
            lambda config: {"conditions": all_conditions(config), "flatness": config["regimes"]["flatness"]},
        ),
        Figure(
            "overlap",
            REGIMES,
            "regimes:overlap_by_step",
            {"regimes": Source("regimes.csv")},
            lambda config: {"pair": condition_pair(config), "top": middle_top(config)},
        ),
        Figure(
            "rank_influence_by_checkpoint",
            REGIMES,
            "regimes:rank_influence_by_checkpoint",
            {"influence": Source("influence.parquet", "checkpoints", "heldout")},
            pair,
        ),
        Figure(
            "neuron_types",
            KNOWN_TYPES,
            "known_types:neuron_types",
            {"neurons": last("neurons.parquet"), "groups": last("groups.parquet")},
            lambda _config: {"names": (TOP, SELECTIVE)},
        ),
        Figure(
            "selectivity",
            JOINT,
            "joint:selectivity",
            {"joint": Source("joint.csv"), "dynamics": Source("dynamics.csv")},
            lambda config: pair(config) | {"margin": config["claims"]["selectivity_margin"]},
        ),
        Figure("joint_doses", JOINT, "joint:dose_curves", {"table": Source("joint.csv")}, pair),
        Figure("loss_by_frequency", JOINT, "joint:loss_by_frequency", {"table": Source("loss_by_frequency.csv")}, pair),
        Figure(
            "coordination",
            COORDINATION,
            "coordination:dimension_by_step",
            {"table": Source("coordination.csv")},
            lambda config: of_groups(config) | {"alpha": config["claims"]["alpha"]},
        ),
        Figure(
            "coordination_rows",
            COORDINATION,
            "coordination:dimension_by_rows",
            {"table": Source("coordination.csv")},
            of_groups,
        ),
        Figure(
            "organization",
            ORGANIZATION,
            "organization:separation_by_step",
            {"table": Source("organization.csv")},
            of_groups,
        ),
        Figure(
            "communities",
            ORGANIZATION,
            "organization:community_matrices",
            {"pictures": last("communities.safetensors")},
        ),
        Figure(
            "attention",
            ATTENTION,
            "attention:head_maps",
            {"heads": last("heads.parquet")},
            lambda config: pair(config) | {"alpha": config["attention"]["alpha"]},
        ),
        Figure(
            "head_concentration",
            ATTENTION,
            "attention:concentration",
            {"heads": last("heads.parquet"), "attention": last("attention.parquet")},
            pair,
        ),
        Figure(
            "heads_and_layers",
            ATTENTION,
            "attention:heads_and_layers",
            {"heads": last("heads.parquet")},
            lambda config: {"condition": config["groups"]["condition"]},
        ),
        Figure(
            "attention_patterns",
            ATTENTION,
            "attention:pattern_similarity",
            {"heads": last("heads.parquet")},
            pair,
        ),
        Figure(
            "course",
            COURSE_OF_TRAINING,
            "dynamics:course_of_main_measures",
            {name: Source(f"{name}.csv") for name in ("joint", "dynamics", "regimes", "coordination", "spectra")},
            pair,
            has_several_checkpoints,
        ),
        Figure(
            "dynamics",
            COURSE_OF_TRAINING,
            "dynamics:final_top_and_turnover",
            {"final": Source("final_top.csv"), "dynamics": Source("dynamics.csv")},
            lambda config: pair(config) | {"top": middle_top(config)},
            has_several_checkpoints,
        ),
        Figure(
            "spectra",
            SPECTRA,
            "measures:measure_by_step",
            {"table": Source("spectra.csv")},
            lambda config: (
                of_groups(config)
                | {"number": ["hill", "w_out", "value", "matched"], "label": "Hill exponent, W_out", "scale": "log"}
            ),
        ),
        Figure("hill_plot", SPECTRA, "spectra:hill_plots", {"plots": last("hill_plot.parquet")}),
        Figure(
            "weightwatcher",
            SPECTRA,
            "spectra:weightwatcher_map",
            {"table": Source("weightwatcher.csv")},
            lambda _config: {
                "columns": {"alpha": "alpha", "ww_softrank": "largest eigenvalue,\nshuffled / own"},
            },
        ),
        Figure("choices", BESIDE_THE_PAPER, "comparison:effects_of_choices", {"choices": Source("choices.csv")}),
        Figure(
            "firmness",
            BESIDE_THE_PAPER,
            "comparison:firmness",
            {"table": Source("firmness.csv")},
            exists=has_firmness,
        ),
        Figure(
            "training_loss",
            MODELS_AND_DATA,
            "training:training_loss",
            {
                "losses": Source("training_loss.csv", "trained models"),
                "counts": Source("counts.npy", "trained on"),
            },
            exists=has_trained_models,
        ),
        Figure(
            "audit",
            MODELS_AND_DATA,
            "audit:checkpoint_distances",
            {"audit": Source("audit.csv")},
            exists=has_several_checkpoints,
        ),
    )
}


def figures_of_run(config: Config) -> list[Figure]:
    """The figures that a validated configuration has."""
    return [figure for figure in FIGURES.values() if figure.exists(config)]
