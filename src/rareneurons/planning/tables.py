"""The tables of a run, ``results/<run>/tables/<name>.csv``: where each comes from and its section of the report."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rareneurons.planning.derived_settings import always, has_other_layers
from rareneurons.planning.report_sections import (
    ATTENTION,
    BESIDE_THE_PAPER,
    COORDINATION,
    COURSE_OF_TRAINING,
    MODELS_AND_DATA,
    MORE,
    ORGANIZATION,
    REGIMES,
    SPECTRA,
    Section,
)


@dataclass(frozen=True)
class Table:
    """A table of the run.

    ``joined``: rule ``table`` puts every checkpoint's Parquet file of this name under one another. ``measure``: such a
    file is a measure table, of which ``dynamics`` and the claims take their numbers. ``function`` and ``reads``: rule
    ``paper_table`` calls this function (``module:name``) of ``rareneurons`` with these tables. Other tables have a rule
    of their own. ``exists``: whether a configuration has it.
    """

    name: str
    section: Section
    joined: bool = False
    measure: bool = False
    function: str = ""
    reads: tuple[str, ...] = ()
    exists: Callable[[Mapping[str, Any]], bool] = always

    @property
    def module(self) -> str:
        """Module of the function, for the digest of the table's code."""
        return f"rareneurons.{self.function.partition(':')[0]}"


# In the order in which the report shows a section's tables; measures in the order in which dynamics draws for them.
TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table("regimes", REGIMES, joined=True, measure=True),
        Table("neuron_types", REGIMES, joined=True),
        Table("groups", REGIMES, joined=True),
        Table("group_match", REGIMES, joined=True),
        Table("paper_table_1", COORDINATION, function="coordination.estimates:paper_table", reads=("coordination",)),
        Table("coordination", COORDINATION, joined=True, measure=True),
        Table("paper_table_3", ORGANIZATION, function="organization.estimates:paper_table", reads=("organization",)),
        Table("organization", ORGANIZATION, joined=True, measure=True),
        Table("attention", ATTENTION, joined=True, measure=True),
        Table("dynamics", COURSE_OF_TRAINING),
        Table("final_top", COURSE_OF_TRAINING),
        Table("paper_table_2", SPECTRA, function="spectra.paper_table:paper_table", reads=("spectra", "dynamics")),
        Table("spectra", SPECTRA, joined=True, measure=True),
        Table("weightwatcher", SPECTRA, joined=True),
        Table("paper_comparison", BESIDE_THE_PAPER),
        Table("choices", BESIDE_THE_PAPER),
        Table("other_layers", MORE, joined=True, exists=has_other_layers),
        Table("screening", MORE, joined=True, exists=has_other_layers),
        Table("conditions", MODELS_AND_DATA),
        Table("audit", MODELS_AND_DATA),
        Table("provenance", MODELS_AND_DATA),
    )
}
MEASURES = [table.name for table in TABLES.values() if table.measure]


def tables_of_run(config: Mapping[str, Any]) -> list[Table]:
    """The tables that a validated configuration has."""
    return [table for table in TABLES.values() if table.exists(config)]
