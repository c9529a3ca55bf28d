"""The authors' choices: tables with a choice's rows, verdicts beside the run's own, and when they must not change."""

import sys

import numpy as np
import pandas as pd
import pytest
from conftest import PROJECT

from rareneurons.comparison import choices
from rareneurons.stats import benjamini_hochberg, frame_of_tests
from rareneurons.tables import PLATEAU_TEST, CheckpointName, Estimate, measure_frame

sys.path.append(str(PROJECT / "tests/claims"))
from claim_tables import BOUNDS, dimension_table, tables_for

NAMES = {choice.name: choice for choice in choices.CHOICES}
NO_DRAWS = pd.DataFrame(columns=["model", "checkpoint", "step", "condition", "group", "measure", "draws"])


def rows_of(choice, table, estimates, model="a", condition="rare"):
    named = [(condition, group, estimate) for group, estimate in estimates]
    frame = measure_frame(CheckpointName(model, "step16"), named)
    return frame.assign(choice=choice, table=table, reason="")


NOTHING = rows_of("-", "-", [("-", Estimate("-", 0.0, "-", 1))])


def effects(tables, measured=NOTHING, by_input="rare-input"):
    return choices.effects_of_choices(tables, measured, NO_DRAWS, by_input, BOUNDS, np.random.default_rng(0)).set_index(
        ["choice", "claim"]
    )


def test_the_last_condition_by_input_token_stands_for_the_authors_bands():
    conditions = [{"name": "rare", "preset": "paper_rare"}, {"name": "x", "band": [0.2, 0.5], "by": "input"}]
    assert choices.input_condition(conditions) == "x"
    era = {"name": "era-b", "preset": "authors_elbow_15"}
    assert choices.input_condition([*conditions, era, {"name": "y", "band": [0.2, 0.3]}]) == "era-b"
    assert choices.input_condition(conditions[:1]) is None


def test_without_such_a_condition_that_choice_is_not_made():
    assert choices.choices_for("x") == list(choices.CHOICES)
    found = choices.choices_for(None)
    assert [choice.name for choice in found] == ["fixed cuts", "random controls", "reused documents", "all together"]
    assert not any(choice.input_band for choice in found)


def test_nothing_changes_where_a_choice_changes_nothing():
    """A run whose head is the fixed one and whose random controls are its matched ones."""
    tables = tables_for(["a"], plateau=(0, 0))
    for name in ("coordination", "organization", "spectra"):
        tables[name] = tables[name].assign(group="fixed_plateau")
    spectra = tables["spectra"]
    tables["spectra"] = pd.concat(
        [spectra, spectra.assign(measure=spectra["measure"].str.replace(".matched", ".random"))], ignore_index=True
    )
    found = effects(tables)
    assert not found["changed"].any()
    assert set(found.loc["fixed cuts"].index) == {"C1", "C2", "C3", "C4", "C7"}
    assert set(found.loc["random controls"].index) == {"C3", "C4", "C7"}
    for name in ("value", "verdict"):
        same = found.drop(index=[("random controls", "C7")])
        pd.testing.assert_series_equal(same[name], same[f"proper_{name}"], check_names=False)


def test_fixed_cuts_declare_a_plateau_in_rare_and_common_curves_alike():
    declared = [
        ("boost", Estimate("mean_abs.auto.flatness", 0.3, "u", 9, 0.2, 0.4)),
        ("boost", Estimate(PLATEAU_TEST, 1.0, "u", 9)),
    ]
    measured = pd.concat([rows_of("fixed cuts", "regimes", declared, condition=c) for c in ("rare", "common")])
    found = effects(tables_for(["a"], plateau=(0, 0), power=(0.9, 0.9)), measured).loc["fixed cuts"]
    assert found.loc["C1", ["proper_verdict", "verdict", "changed"]].tolist() == ["contradicted", "supported", True]
    assert found.loc["C2", ["proper_verdict", "verdict", "changed"]].tolist() == ["supported", "contradicted", True]
    assert found.loc["C1", ["value", "ci_low", "ci_high"]].tolist() == [0.3, 0.2, 0.4]
    assert found.loc["C1", "statistic"] == "mean_abs.fixed.flatness (boost, rare)"


def test_fixed_cuts_put_the_fixed_head_in_the_place_of_the_plateau():
    tables = tables_for(["a"], plateau=(1, 0))
    own = dimension_table(q=0.5, gap=(-0.3, 0.1))
    tables["coordination"] = pd.concat([own, dimension_table(group="fixed_plateau", q=0.01)], ignore_index=True)
    found = effects(tables).loc[("fixed cuts", "C3")]
    assert found[["proper_verdict", "verdict"]].tolist() == ["undecided", "supported"]
    assert found["statistic"] == "effective_dimension.matched.difference over the matched mean (fixed_plateau, rare)"
    assert effects(tables).loc[("reused documents", "C3"), "verdict"] == "undecided"
    tables["groups"] = tables["groups"][tables["groups"]["group"] != "plateau"]  # where none is fitted
    made = choices.tables_with(NAMES["fixed cuts"], tables, NOTHING, NO_DRAWS, BOUNDS, np.random.default_rng(0))
    assert (made["groups"]["group"] == "plateau").sum() == (tables["groups"]["group"] == "fixed_plateau").sum()


def dimension_rows(choice, p, group="plateau"):
    name = "effective_dimension.matched"
    estimates = [
        Estimate(name, 0.2, "u", 50, 0.1, 0.3, p),
        Estimate(f"{name}.null_mean", 0.6, "u", 200, 0.5, 0.7),
        Estimate(f"{name}.difference", -0.4, "u", 50, -0.5, -0.3),
    ]
    return rows_of(choice, "coordination", [(group, estimate) for estimate in estimates])


@pytest.mark.parametrize("choice", ["input bands", "random controls", "reused documents", "all together"])
def test_a_choice_s_own_rows_decide(choice):
    tables = tables_for(["a"], plateau=(1, 0))
    tables["coordination"] = dimension_table(q=0.9, gap=(-0.3, 0.1))
    found = effects(tables, dimension_rows(choice, 0.001)).xs("C3", level="claim")
    assert found["verdict"].eq("supported").sum() == 1
    assert found.loc[choice, "changed"]
    assert found.loc[choice, ["value", "n"]].tolist() == pytest.approx([-0.4 / 0.6, 50])
    assert found["proper_verdict"].eq("undecided").all()
    named = {
        "input bands": "effective_dimension.matched.difference over the matched mean (plateau, rare-input)",
        "random controls": "effective_dimension.random.difference over the random mean (plateau, rare)",
        "reused documents": "effective_dimension.matched.difference over the matched mean (plateau, rare), discovery",
        "all together": "effective_dimension.random.difference over the random mean (fixed_plateau, rare-input), "
        "discovery",
    }
    assert found.loc[choice, "statistic"] == named[choice]


def test_a_head_that_the_choice_does_not_find_is_not_the_run_s():
    """The choice's curve has no automatic plateau: the fixed head decides, and not the run's plateau."""
    tables = tables_for(["a"], plateau=(1, 0))
    tables["coordination"] = dimension_table(q=0.01)
    found = effects(tables, dimension_rows("input bands", 0.9, "fixed_plateau")).loc[("input bands", "C3")]
    assert found[["proper_verdict", "verdict"]].tolist() == ["supported", "undecided"]


def family(p_of_head):
    name = CheckpointName("a", "step16")
    others = [("rare", f"g{i}", Estimate(f"m.{kind}", 0.1, "u", 9, p_value=p)) for i, (kind, p) in enumerate(TESTS)]
    head = ("rare", "plateau", Estimate("effective_dimension.matched", 0.2, "u", 9, p_value=p_of_head))
    return frame_of_tests(name, [*others, head])


TESTS = [("matched", 0.01), ("matched", 0.03), ("random", 0.001), ("matched", 0.8), ("random", 0.2)]


@pytest.mark.oracle
def test_p_values_are_adjusted_among_the_other_tests_of_the_checkpoint():
    """As if the choice's p had stood in the table from the start; and nothing moves where no p does."""
    choice = NAMES["reused documents"]
    for p in (0.5, 0.004):
        rows = rows_of(
            "reused documents", "coordination", [("plateau", Estimate("effective_dimension.matched", 0.2, "u", 9))]
        )
        rows["p_value"] = p
        made = choices.tables_with(choice, {"coordination": family(0.5)}, rows, NO_DRAWS, BOUNDS, None)
        expected = family(p).set_index("group")["q_value"]
        found = made["coordination"].set_index("group")["q_value"]
        pd.testing.assert_series_equal(found.sort_index(), expected.sort_index())
    together = family(0.5)
    rows = rows_of(
        "reused documents",
        "organization",
        [("plateau", Estimate("signed_modularity.matched", 0.2, "u", 9, p_value=0.01))],
    )
    made = choices.tables_with(choice, {"organization": together}, rows, NO_DRAWS, BOUNDS, None)["organization"]
    np.testing.assert_array_equal(made["q_value"], benjamini_hochberg(made["p_value"].to_numpy()))


def test_rows_of_other_models_checkpoints_and_conditions_stay():
    tables = {"coordination": pd.concat([dimension_table(model=m, step=s) for m in "ab" for s in (2, 16)])}
    common = tables["coordination"].assign(condition="common")
    tables = {"coordination": pd.concat([*tables.values(), common], ignore_index=True)}
    made = choices.tables_with(
        NAMES["reused documents"], tables, dimension_rows("reused documents", 0.3), NO_DRAWS, BOUNDS, None
    )["coordination"]
    assert len(made) == len(tables["coordination"])
    mine = (made["model"] == "a") & (made["step"] == 16) & (made["condition"] == "rare")
    assert made.loc[mine, "value"].tolist() == [0.2, 0.6, -0.4]
    keys = ["model", "step", "condition", "measure", "value"]
    kept = tables["coordination"].merge(made.loc[~mine, keys], on=keys)
    assert len(kept) == len(made) - 3


def test_curves_of_other_conditions_groups_and_measures_stay():
    name = CheckpointName("a", "step16")
    kept = [
        ("bottom-half", "boost", Estimate(PLATEAU_TEST, 0.0, "u", 9)),
        ("rare", "suppress", Estimate(PLATEAU_TEST, 0.0, "u", 9)),
        ("rare", "boost", Estimate("mean_abs.head.influence_share", 0.5, "u", 9)),
    ]
    table = measure_frame(name, [*kept, ("rare", "boost", Estimate(PLATEAU_TEST, 0.0, "u", 9))])
    rows = rows_of("fixed cuts", "regimes", [("boost", Estimate(PLATEAU_TEST, 1.0, "u", 9))])
    nothing = table.iloc[:0]
    others = ("groups", "coordination", "organization", "spectra", "dynamics")
    tables = {"regimes": table, **dict.fromkeys(others, nothing)}
    made = choices.tables_with(NAMES["fixed cuts"], tables, rows, NO_DRAWS, BOUNDS, np.random.default_rng(0))["regimes"]
    assert made["value"].tolist() == [0.0, 0.0, 0.5, 1.0]
    assert made["condition"].tolist() == ["bottom-half", "rare", "rare", "rare"]


def spectra_run():
    """Hill exponents: the group's falls from 2 to 1.4, random groups stay at 2, matched ones are as the group."""
    frames, draws = [], []
    for step, value in zip((1, 2, 3, 4, 6, 8), (2.0, 1.9, 1.8, 1.7, 1.6, 1.4), strict=True):
        name = CheckpointName("a", f"step{step}")
        estimates = []
        for kind, null, p in (("random", 2.0, 0.001), ("matched", value, 0.9)):
            estimates += [
                Estimate(f"hill.w_out.{kind}", value, "exponent", 33, value - 0.1, value + 0.1, p),
                Estimate(f"hill.w_out.{kind}.null_mean", null, "exponent", 200, null - 0.05, null + 0.05),
            ]
        estimates += [Estimate("hill.w_out.matched.difference", 0.0, "exponent", 33, -0.1, 0.1)]
        estimates += [Estimate("hill.w_out.matched.ratio", 1.0, "ratio", 33, 0.9, 1.1)]
        frames.append(frame_of_tests(name, [("rare", "plateau", each) for each in estimates]))
        drawn = value + np.linspace(-0.01, 0.01, 40)
        draws.append(
            name.labelled(
                pd.DataFrame(
                    {"condition": "rare", "group": "plateau", "measure": "hill.w_out.matched", "draws": [drawn]}
                )
            )
        )
    return pd.concat(frames, ignore_index=True), pd.concat(draws, ignore_index=True)


def test_random_controls_turn_a_spectrum_like_its_matched_ones_into_a_heavier_tail():
    spectra, draws = spectra_run()
    tables = tables_for(["a"], plateau=(1, 0)) | {"spectra": spectra}
    tables["audit"] = tables["audit"].assign(checkpoint="step8")
    own_trend = Estimate("hill.w_out.matched.ratio.change", 9.0, "ratio", 6)
    tables["dynamics"] = measure_frame(CheckpointName("a", "all"), [("rare", "plateau", own_trend)])
    choice = NAMES["random controls"]
    made = choices.tables_with(choice, tables, NOTHING, draws, BOUNDS, np.random.default_rng(0))
    last = made["spectra"].query("step == 8").set_index("measure")
    columns = ["value", "ci_low", "ci_high"]
    assert last.loc["hill.w_out.matched.difference", columns].tolist() == pytest.approx([-0.6, -0.7, -0.5])
    assert last.loc["hill.w_out.matched.ratio", columns].tolist() == pytest.approx([0.7, 0.65, 0.75])
    assert last.loc["hill.w_out.matched.null_mean", "value"] == 2
    assert last.loc["hill.w_out.matched", "q_value"] == 0.001
    assert not last.index.duplicated().any()
    moved = made["dynamics"].set_index("measure")
    change = moved.loc["hill.w_out.matched.ratio.change"]  # one row: the run's own trend is gone
    assert change[columns].tolist() == pytest.approx([-0.3, -0.3, -0.3])
    assert moved.loc["hill.w_out.matched.ratio.trend", "value"] == -1
    tables["regimes"] = tables["regimes"].replace({"checkpoint": {"step16": "step8"}, "step": {16: 8}})
    found = choices.effects_of_choices(tables, NOTHING, draws, None, BOUNDS, np.random.default_rng(0))
    c7 = found[(found["claim"] == "C7") & (found["choice"] == "random controls")].iloc[0]
    assert c7[["proper_verdict", "verdict"]].tolist() == ["contradicted", "supported"]
    assert c7[["proper_value", "value"]].tolist() == pytest.approx([0, -0.6 / 2])
    assert c7["statistic"] == "hill.w_out.random.difference over the random mean (plateau, rare)"


def test_markdown_names_the_run_s_own_first_and_changes_in_bold():
    row = dict.fromkeys(choices.COLUMNS, 0.5) | {"claim": "C3", "model": "a", "choice": "fixed cuts"}
    row |= {"verdict": "supported", "proper_verdict": "undecided", "changed": True, "ci_low": 0.25}
    text = choices.choices_markdown(pd.DataFrame([row, row | {"choice": "all together", "changed": False}]))
    assert text.splitlines() == [
        "| choice | verdicts it can touch | changed | which |",
        "|---|---|---|---|",
        "| fixed cuts | 1 | 1 | C3 a: undecided to supported |",
        "| all together | 1 | 0 | – |",
        "",
        "*none* is this project's own; verdicts in bold differ from it.",
        "",
        "**C3**",
        "",
        "| model | choice | value (95 % interval) | verdict |",
        "|---|---|---|---|",
        "| a | none | 0.5 (0.5 to 0.5) | undecided |",
        "| | fixed cuts | 0.5 (0.25 to 0.5) | **supported** |",
        "| | all together | 0.5 (0.25 to 0.5) | supported |",
    ]
