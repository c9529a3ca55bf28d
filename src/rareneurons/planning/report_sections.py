"""The sections of a run's report, in its order.

A figure or table names its section where it is registered (``planning.figures``, ``planning.tables``).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """A part of the report: its title, the claims whose verdicts it shows, and the rules whose time it adds up."""

    title: str
    claims: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


REGIMES = Section("Regimes of influence", ("C1", "C2", "P1b", "P2"), ("influence", "regimes", "groups"))
JOINT = Section("Joint ablation", ("C8",), ("joint",))
KNOWN_TYPES = Section("Known types of neurons", ("S1", "C8s", "C3s"), ("neuron_types",))
COORDINATION = Section("Coordination", ("C3", "P1a"), ("coordination", "paper_table_1"))
ORGANIZATION = Section("Organization", ("C4",), ("organization", "paper_table_3"))
ATTENTION = Section("Attention", ("C5",), ("attention",))
COURSE_OF_TRAINING = Section("Course of training", ("C6",), ("dynamics", "final_top"))
SPECTRA = Section("Spectra", ("C7",), ("spectra", "paper_table_2", "weightwatcher"))
BESIDE_THE_PAPER = Section(
    "Comparison with the paper and other choices",
    (),
    ("choice_measures", "choices", "firmness_measures", "firmness", "paper_comparison"),
)
MORE = Section("More")
MODELS_AND_DATA = Section("Models and data", (), ("train_model", "trace"))

SECTIONS = (
    REGIMES,
    JOINT,
    KNOWN_TYPES,
    COORDINATION,
    ORGANIZATION,
    ATTENTION,
    COURSE_OF_TRAINING,
    SPECTRA,
    BESIDE_THE_PAPER,
    MORE,
    MODELS_AND_DATA,
)
