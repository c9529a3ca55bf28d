"""What the registries of figures and tables name is there; everything has its place in the report."""

import inspect
from pkgutil import resolve_name
from typing import get_type_hints

import pytest
import yaml
from conftest import PROJECT
from snakemake.utils import update_config

from rareneurons.claims import TITLES
from rareneurons.planning.figures import FIGURES, figures_of_run
from rareneurons.planning.report_sections import SECTIONS
from rareneurons.planning.tables import MEASURE_FUNCTIONS, MEASURES, TABLES, tables_of_run


def load(overlay: str | None = None) -> dict:
    config = yaml.safe_load((PROJECT / "config.yaml").read_text())
    if overlay:
        update_config(config, yaml.safe_load((PROJECT / "config" / overlay).read_text()))
    return config


CONFIG = load("smoke.yaml")


@pytest.mark.parametrize("figure", FIGURES.values(), ids=FIGURES)
def test_function_takes_what_the_registry_gives_it(figure):
    function = resolve_name(f"rareneurons.figures.{figure.function}")
    assert function.__module__ == figure.module
    settings = figure.settings(CONFIG)
    assert not set(settings) & set(figure.sources)
    inspect.signature(function).bind(**figure.sources, **settings)


def test_tables_that_figures_read_are_tables_of_the_run():
    read = [source for figure in FIGURES.values() for source in figure.sources.values() if source.of == "run"]
    assert read
    assert {source.file for source in read} <= {f"{name}.csv" for name in TABLES}


@pytest.mark.parametrize("table", [table for table in TABLES.values() if table.function], ids=lambda table: table.name)
def test_paper_tables_have_a_function_of_as_many_tables_and_a_caption(table):
    function = resolve_name(f"rareneurons.{table.function}")
    assert function.__module__ == table.module
    inspect.signature(function).bind(*table.reads)
    assert set(table.reads) <= set(TABLES)
    assert not table.joined
    assert (PROJECT / f"workflow/report/{table.name}.rst").exists()


@pytest.mark.parametrize("measure", MEASURE_FUNCTIONS.values(), ids=MEASURE_FUNCTIONS)
def test_functions_of_measures_have_the_one_shape_and_settings_that_the_configuration_gives(measure):
    function = resolve_name(f"rareneurons.{measure.function}")
    assert function.__module__ == measure.module
    assert list(inspect.signature(function).parameters) == ["evidence", "groups", "settings", "rng"]
    get_type_hints(function)["settings"](**measure.settings(CONFIG))
    assert measure.bootstrap(CONFIG) >= 10


def test_measures_are_joined_tables_in_the_order_in_which_dynamics_draws():
    assert MEASURES[:5] == ["regimes", "coordination", "organization", "attention", "spectra"]
    assert all(TABLES[name].joined for name in MEASURES)


def test_every_section_is_in_the_report_and_none_twice():
    titles = [section.title for section in SECTIONS]
    assert len(set(titles)) == len(titles)
    assert {entry.section for entry in (*FIGURES.values(), *TABLES.values())} <= set(SECTIONS)


def test_every_claim_has_a_section():
    assert sorted(name for section in SECTIONS for name in section.claims) == sorted(TITLES)


def test_only_what_a_configuration_has_is_made():
    """One checkpoint of a model that is not trained here: nothing about training, no other layers."""
    alone = CONFIG | {"models": [{"name": "given", "source": "local", "folders": {"main": "there"}}]}
    every = {figure.name for figure in figures_of_run(CONFIG)}
    assert every == set(FIGURES)
    missing = {"training_loss", "audit", "dynamics", "course"}
    assert every - {figure.name for figure in figures_of_run(alone)} == missing
    layers = {"other_layers": CONFIG["other_layers"] | {"layers": "all"}}
    more = {table.name for table in tables_of_run(CONFIG | layers)}
    assert more == set(TABLES)
    assert more - {table.name for table in tables_of_run(CONFIG)} == {"other_layers", "screening"}
