"""The tables of a run, ``results/<run>/tables/<name>.csv``: where each comes from and its section of the report."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rareneurons.planning.derived_settings import (
    always,
    has_firmness,
    has_other_layers,
    has_trained_models,
)
from rareneurons.planning.report_sections import (
    ATTENTION,
    BESIDE_THE_PAPER,
    COORDINATION,
    COURSE_OF_TRAINING,
    JOINT,
    KNOWN_TYPES,
    MODELS_AND_DATA,
    MORE,
    ORGANIZATION,
    REGIMES,
    SPECTRA,
    Section,
)

Config = Mapping[str, Any]


def no_settings(_config: Config) -> dict[str, Any]:
    """For a measure that needs none."""
    return {}


@dataclass(frozen=True)
class MeasureFunction:
    """How rule ``measure`` computes a measure of a checkpoint's groups.

    ``function`` (``module:name``) of ``rareneurons`` gets the evidence of the trace, the rows and the last layer, the
    groups with their controls, its settings and a random generator. ``settings``: what the configuration says of them.
    ``bootstrap``: draws of held-out documents that the evidence brings, the same at every checkpoint.
    """

    function: str
    bootstrap: Callable[[Config], int]
    settings: Callable[[Config], Mapping[str, Any]] = no_settings

    @property
    def module(self) -> str:
        """Module of the function, for the digest of the measure's code."""
        return f"rareneurons.{self.function.partition(':')[0]}"


@dataclass(frozen=True)
class Table:
    """A table of the run.

    ``joined``: rule ``table`` puts every checkpoint's Parquet file of this name under one another. ``measure``: such a
    file is a measure table, of which ``dynamics`` and the claims take their numbers. ``computed_by``: the function by
    which rule ``measure`` computes that file; without one it has a rule of its own. ``function`` and ``reads``: rule
    ``paper_table`` calls this function (``module:name``) of ``rareneurons`` with these tables. Other tables have a rule
    of their own. ``captioned``: a file of this name in ``workflow/report/`` explains it in the report; without one, the
    figure of the same name does, if there is one. ``exists``: whether a configuration has it.
    """

    name: str
    section: Section
    joined: bool = False
    measure: bool = False
    computed_by: MeasureFunction | None = None
    function: str = ""
    reads: tuple[str, ...] = ()
    captioned: bool = False
    exists: Callable[[Config], bool] = always

    @property
    def module(self) -> str:
        """Module of the function, for the digest of the table's code."""
        return f"rareneurons.{self.function.partition(':')[0]}"


def coordination_draws(config: Config) -> int:
    """Bootstrap draws of held-out documents."""
    return config["coordination"]["bootstrap"]


# In the order in which the report shows a section's tables; measures in the order in which dynamics draws for them.
TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table("regimes", REGIMES, joined=True, measure=True),
        Table("neuron_types", KNOWN_TYPES, joined=True),
        Table("groups", REGIMES, joined=True),
        Table("group_match", REGIMES, joined=True),
        Table(
            "paper_table_1",
            COORDINATION,
            function="coordination.estimates:paper_table",
            reads=("coordination",),
            captioned=True,
        ),
        Table(
            "coordination",
            COORDINATION,
            joined=True,
            measure=True,
            computed_by=MeasureFunction("coordination.estimates:coordination_estimates", coordination_draws),
        ),
        Table(
            "paper_table_3",
            ORGANIZATION,
            function="organization.estimates:paper_table",
            reads=("organization",),
            captioned=True,
        ),
        Table("organization", ORGANIZATION, joined=True, measure=True),
        Table("attention", ATTENTION, joined=True, measure=True),
        Table("dynamics", COURSE_OF_TRAINING),
        Table("final_top", COURSE_OF_TRAINING),
        Table(
            "paper_table_2",
            SPECTRA,
            function="spectra.paper_table:paper_table",
            reads=("spectra", "dynamics"),
            captioned=True,
        ),
        Table("spectra", SPECTRA, joined=True, measure=True),
        Table("weightwatcher", SPECTRA, joined=True),
        Table("joint", JOINT, joined=True, measure=True),
        Table("loss_by_frequency", JOINT, joined=True),
        Table("paper_comparison", BESIDE_THE_PAPER, captioned=True),
        Table("choices", BESIDE_THE_PAPER),
        Table("firmness", BESIDE_THE_PAPER, exists=has_firmness),
        Table("other_layers", MORE, joined=True, exists=has_other_layers),
        Table("screening", MORE, joined=True, exists=has_other_layers),
        Table("conditions", MODELS_AND_DATA, captioned=True),
        Table("training_loss", MODELS_AND_DATA, exists=has_trained_models),
        Table("audit", MODELS_AND_DATA),
        Table("provenance", MODELS_AND_DATA, captioned=True),
    )
}
MEASURES = [table.name for table in TABLES.values() if table.measure]
MEASURE_FUNCTIONS = {table.name: table.computed_by for table in TABLES.values() if table.computed_by is not None}


def tables_of_run(config: Config) -> list[Table]:
    """The tables that a validated configuration has."""
    return [table for table in TABLES.values() if table.exists(config)]
