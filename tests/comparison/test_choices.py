"""The authors' choices: tables with a choice's rows, verdicts beside the run's own, and when they must not change."""

import sys

import numpy as np
import pandas as pd
import pytest
from conftest import PROJECT

from rareneurons.claims.below_controls import null_kinds
from rareneurons.comparison import choices
from rareneurons.stats import frame_of_tests
from rareneurons.tables import DRAW_KEYS, IDENTITY, CheckpointName, Draws, Estimate, draws_frame, measure_frame

sys.path.append(str(PROJECT / "tests/claims"))
from claim_tables import BOUNDS, VIEW, compared, dimension_table, tables_for

NAMES = {choice.name: choice for choice in choices.CHOICES}
NO_DRAWS = pd.DataFrame(columns=[*IDENTITY, *DRAW_KEYS, "draws"])


def rows_of(choice, table, estimates, model="a", condition=None):
    """Rows as ``choice_measures`` returns them, under the choice's own condition and split."""
    view = NAMES[choice].view(VIEW, "rare-input") if choice in NAMES else VIEW
    condition = view.condition if condition is None else condition
    named = [(condition, group, estimate) for group, estimate in estimates]
    frame = measure_frame(CheckpointName(model, "step16"), named)
    return frame.assign(choice=choice, table=table, split=view.split)


NOTHING = rows_of("-", "-", [("-", Estimate("-", 0.0, "-", 1))])


def effects(tables, measured=NOTHING, by_input="rare-input"):
    rng = np.random.default_rng(0)
    found = choices.effects_of_choices(tables, measured, NO_DRAWS, by_input, VIEW, BOUNDS, rng)
    return found.set_index(["choice", "claim"])


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


def same_numbers(choice, tables):
    """The run's own rows as if they had been measured under a choice."""
    view, frames = NAMES[choice].view(VIEW, "rare-input"), []
    for name, table in tables.items():
        if name in choices.READ:
            rows = table[(table["step"] == 16) & choices.read_by_verdicts(name, table)]
            rows = rows[rows["against"].isin(["", "matched", "rotation", *null_kinds(view)[1:]])]
            new = {"condition": {"rare": view.condition}, "against": {"matched": view.controls}}
            rows = rows.replace(new).assign(choice=choice, table=name, split=view.split)
            if view.fixed_cuts:
                rows.loc[rows["measure"].isin(["plateau", "flatness"]), "part"] = "fixed"
            frames.append(rows)
    return pd.concat(frames)


def test_nothing_changes_where_a_choice_changes_nothing():
    """A run whose top neurons are those of the fixed cut and whose random controls are its matched ones."""
    tables = tables_for(["a"], plateau=(0, 0))
    for name in ("coordination", "organization", "spectra"):
        tables[name] = tables[name].assign(group="top_33")
    tables["coordination"]["p_value"] /= 5  # small enough for every number of claims that p is adjusted for
    for name, controlled in (("coordination", tables["coordination"]), ("organization", tables["organization"])):
        matched = controlled[controlled["against"] == "matched"]
        tables[name] = pd.concat([controlled, matched.assign(against="random")], ignore_index=True)
    spectra = tables["spectra"]
    values = spectra[spectra["quantity"] == "value"]
    tables["spectra"] = pd.concat([spectra, values.assign(against="random")], ignore_index=True)
    found = effects(tables, pd.concat([same_numbers(choice, tables) for choice in NAMES]))
    by_cut = [(choice, claim) for choice in ("fixed cuts", "all together") for claim in ("C1", "C2")]
    assert found.loc[by_cut, "changed"].all(), "whatever comes before the cut is called a plateau"
    assert not found.drop(index=by_cut)["changed"].any()
    assert set(found.loc["fixed cuts"].index) == {"C1", "C2", "C3", "C4", "C7"}
    assert set(found.loc["random controls"].index) == {"C3", "C7"}
    for name in ("value", "verdict"):
        same = found.drop(index=[("random controls", "C7"), *by_cut])
        pd.testing.assert_series_equal(same[name], same[f"proper_{name}"], check_names=False)


def test_fixed_cuts_declare_a_plateau_in_rare_and_common_curves_alike():
    declared = [
        ("boost", Estimate("flatness", 0.3, "u", 9, 0.2, 0.4, part="fixed")),
        ("boost", Estimate("plateau", 1.0, "u", 9, part="fixed")),
    ]
    measured = pd.concat([rows_of("fixed cuts", "regimes", declared, condition=c) for c in ("rare", "common")])
    found = effects(tables_for(["a"], plateau=(0, 0), power=(0.9, 0.9)), measured).loc["fixed cuts"]
    assert found.loc["C1", ["proper_verdict", "verdict", "changed"]].tolist() == ["contradicted", "supported", True]
    assert found.loc["C2", ["proper_verdict", "verdict", "changed"]].tolist() == ["undecided", "contradicted", True]
    assert found.loc["C1", ["value", "ci_low", "ci_high"]].tolist() == [0.3, 0.2, 0.4]
    assert np.isnan(found.loc["C1", "p_value"]), "no test, no p"
    cut = "exponent of the top neurons before the fixed cut over that of the power law (boost, rare)"
    assert found.loc["C1", "statistic"] == cut


def test_fixed_cuts_look_at_the_neurons_before_the_fixed_cut_even_where_there_is_a_plateau():
    tables = tables_for(["a"], plateau=(1, 0))
    own = dimension_table(q=0.5, gap=(-0.3, 0.1))
    tables["coordination"] = pd.concat([own, dimension_table(group="top_33", q=0.01)], ignore_index=True)
    found = effects(tables).loc[("fixed cuts", "C3")]
    assert found[["proper_verdict", "verdict"]].tolist() == ["undecided", "supported"]
    assert found["statistic"] == "effective dimension relative to matched groups (top_33, rare)"
    assert effects(tables).loc[("reused documents", "C3"), "verdict"] == "undecided"
    tables["regimes"] = tables_for(["a"])["regimes"]
    tables["groups"] = tables["groups"][tables["groups"]["group"] != "plateau"]  # where none is fitted
    assert effects(tables).loc[("fixed cuts", "C3"), "verdict"] == "supported"


def dimension_rows(choice, p, group=None):
    """A dimension of 0.2 where control groups have 0.6; the group and the controls are those of the choice."""
    view = NAMES[choice].view(VIEW, "rare-input")
    numbers = "effective_dimension", 0.2, 50, (0.1, 0.3), np.nan, (0.6, 0.5, 0.7), (-0.5, -0.3), p
    group = group or view.group or "plateau"
    kinds = null_kinds(view)
    found = rows_of(
        choice, "coordination", [(group, each) for kind in kinds for each in compared(*numbers, against=kind)]
    )
    if choice != "input bands":
        return found
    match = Estimate("standardised_difference", 0.1, "sd", 9, part="activation_mean", against="matched")
    return pd.concat([found, rows_of(choice, "group_match", [(group, match)])])


def declared_plateau(choice):
    """The plateau that the test declares on the choice's own curve, if the choice has one."""
    if choice not in ("input bands", "reused documents"):
        return NOTHING.iloc[:0]
    return rows_of(choice, "regimes", [("boost", Estimate("plateau", 1.0, "u", 9, p_value=0.001, part="test"))])


@pytest.mark.parametrize("choice", ["input bands", "random controls", "reused documents", "all together"])
def test_a_choice_s_own_rows_decide(choice):
    tables = tables_for(["a"], plateau=(1, 0))
    tables["coordination"] = dimension_table(q=0.9, gap=(-0.3, 0.1))
    measured = pd.concat([dimension_rows(choice, 0.001), declared_plateau(choice)])
    found = effects(tables, measured).xs("C3", level="claim")
    assert found["verdict"].eq("supported").sum() == 1
    assert found.loc[choice, "changed"]
    assert found.loc[choice, ["value", "n"]].tolist() == pytest.approx([-0.4 / 0.6, 50])
    assert found["proper_verdict"].eq("undecided").all()
    named = {
        "input bands": "effective dimension relative to matched groups (plateau, rare-input)",
        "random controls": "effective dimension relative to random groups (plateau, rare)",
        "reused documents": "effective dimension relative to matched groups (plateau, rare, discovery documents)",
        "all together": "effective dimension relative to random groups (top_33, rare-input, discovery documents)",
    }
    assert found.loc[choice, "statistic"] == named[choice]


def test_a_plateau_that_the_choice_does_not_find_is_not_the_run_s():
    """The choice's curve has no plateau: the neurons before the fixed cut decide, and not the run's plateau."""
    tables = tables_for(["a"], plateau=(1, 0))
    tables["coordination"] = dimension_table(q=0.004)
    measured = dimension_rows("input bands", 0.9, "top_33")
    found = effects(tables, measured).loc[("input bands", "C3")]
    assert found[["proper_verdict", "verdict"]].tolist() == ["supported", "undecided"]
    assert found["statistic"] == "effective dimension relative to matched groups (top_33, rare-input)"


def family(p_of_top):
    name = CheckpointName("a", "step16")
    others = [
        ("rare", f"g{number}", Estimate("m", 0.1, "u", 9, p_value=p, against=kind))
        for number, (kind, p) in enumerate(TESTS)
    ]
    top = Estimate("effective_dimension", 0.2, "u", 9, p_value=p_of_top, against="matched")
    return frame_of_tests(name, [*others, ("rare", "plateau", top)])


TESTS = [("matched", 0.01), ("matched", 0.03), ("random", 0.001), ("matched", 0.8), ("random", 0.2)]


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("table", "measure"), [("coordination", "effective_dimension"), ("organization", "separation")]
)
def test_p_values_are_adjusted_among_the_other_tests_of_the_checkpoint(table, measure):
    """As if the table had had the choice's p from the start; and nothing moves where no p does."""
    for p in (0.5, 0.004):
        own = family(0.5).replace({"measure": {"effective_dimension": measure}})
        top = Estimate(measure, 0.2, "u", 9, p_value=p, against="matched")
        rows = rows_of("reused documents", table, [("plateau", top)])
        made = made_with("reused documents", {table: own}, rows)[table]
        expected = family(p).set_index("group")["q_value"]
        found = made.set_index("group")["q_value"]
        pd.testing.assert_series_equal(found.sort_index(), expected.sort_index())


def made_with(choice, tables, rows, draws=NO_DRAWS):
    return choices.tables_with(NAMES[choice], tables, rows, draws, VIEW, BOUNDS, np.random.default_rng(0))


def test_rows_of_other_models_checkpoints_and_conditions_stay():
    tables = {"coordination": pd.concat([dimension_table(model=m, step=s) for m in "ab" for s in (2, 16)])}
    common = tables["coordination"].assign(condition="common")
    tables = {"coordination": pd.concat([*tables.values(), common], ignore_index=True)}
    made = made_with("reused documents", tables, dimension_rows("reused documents", 0.3))["coordination"]
    assert len(made) == len(tables["coordination"])
    mine = (made["model"] == "a") & (made["step"] == 16) & (made["condition"] == "rare")
    assert made.loc[mine, "value"].tolist() == pytest.approx([0.2, -0.4] * 2)
    assert made.loc[mine, "null_mean"].tolist() == pytest.approx([0.6, np.nan] * 2, nan_ok=True)
    assert made.loc[mine, "split"].eq("discovery").all()
    assert made.loc[~mine, "split"].eq("heldout").all()
    keys = ["model", "step", "condition", "quantity", "value"]
    kept = tables["coordination"].merge(made.loc[~mine, keys], on=keys)
    assert len(kept) >= len(made) - 4


def test_curves_of_other_conditions_groups_and_measures_stay():
    name = CheckpointName("a", "step16")
    test = Estimate("plateau", 0.0, "u", 9, part="test")
    kept = [
        ("bottom-half", "boost", test),
        ("rare", "suppress", test),
        ("rare", "boost", Estimate("influence_share", 0.5, "u", 9, part="top")),
    ]
    tables = {"regimes": measure_frame(name, [*kept, ("rare", "boost", test)])}
    rows = rows_of("reused documents", "regimes", [("boost", Estimate("plateau", 1.0, "u", 9, part="test"))])
    made = made_with("reused documents", tables, rows)["regimes"]
    assert made["value"].tolist() == [0.0, 0.0, 0.5, 1.0]
    assert made["condition"].tolist() == ["bottom-half", "rare", "rare", "rare"]


def spectra_run():
    """Hill exponents: the group's falls from 2 to 1.4, random groups stay at 2, matched ones are as the group."""
    frames, draws = [], []
    for step, value in zip((1, 2, 3, 4, 6, 8), (2.0, 1.9, 1.8, 1.7, 1.6, 1.4), strict=True):
        name, interval = CheckpointName("a", f"step{step}"), (value - 0.1, value + 0.1)
        estimates = []
        for kind, null, p in (("random", 2.0, 0.001), ("matched", value, 0.9), ("shuffled", value, 0.9)):
            tested = {"null_mean": null, "null_low": null - 0.05, "null_high": null + 0.05, "null_n": 200}
            number = "hill", value, "exponent", 33, *interval, p
            estimates.append(Estimate(*number, part="w_out", against=kind, **tested))
        matched = {"part": "w_out", "against": "matched"}
        estimates += [Estimate("hill", 0.0, "exponent", 33, -0.1, 0.1, quantity="difference", **matched)]
        shuffled = {"part": "w_out", "against": "shuffled"}
        estimates += [Estimate("hill", 0.0, "exponent", 33, -0.1, 0.1, quantity="difference", **shuffled)]
        estimates += [Estimate("hill", 1.0, "ratio", 33, 0.9, 1.1, quantity="ratio", **matched)]
        frames.append(frame_of_tests(name, [("rare", "plateau", each) for each in estimates]))
        drawn = Draws("hill", value + np.linspace(-0.01, 0.01, 40), part="w_out")
        draws.append(draws_frame(name, [("rare", "plateau", drawn)]))
    return pd.concat(frames, ignore_index=True), pd.concat(draws, ignore_index=True)


def test_random_controls_turn_a_spectrum_like_its_matched_ones_into_a_heavier_tail():
    spectra, draws = spectra_run()
    tables = tables_for(["a"], plateau=(1, 0)) | {"spectra": spectra}
    tables["audit"] = tables["audit"].assign(checkpoint="step8")
    own_change = Estimate("hill", 9.0, "ratio", 6, part="w_out", quantity="ratio_change", against="matched")
    tables["dynamics"] = measure_frame(CheckpointName("a", "all"), [("rare", "plateau", own_change)])
    made = made_with("random controls", tables, NOTHING, draws)
    last = made["spectra"].query("step == 8 and against == 'random'").set_index("quantity")
    columns = ["value", "ci_low", "ci_high"]
    assert last.loc["difference", columns].tolist() == pytest.approx([-0.6, -0.7, -0.5])
    assert last.loc["ratio", columns].tolist() == pytest.approx([0.7, 0.65, 0.75])
    assert last.loc["value", "null_mean"] == 2
    assert last.loc["value", "q_value"] == 0.001
    assert not last.index.duplicated().any()
    moved = made["dynamics"].query("against == 'random'").set_index("quantity")
    assert moved.loc["ratio_change", columns].tolist() == pytest.approx([-0.3, -0.3, -0.3])
    assert moved.loc["ratio_trend", "value"] == -1
    tables["regimes"] = tables["regimes"].replace({"checkpoint": {"step16": "step8"}, "step": {16: 8}})
    found = choices.effects_of_choices(tables, NOTHING, draws, None, VIEW, BOUNDS, np.random.default_rng(0))
    c7 = found[(found["claim"] == "C7") & (found["choice"] == "random controls")].iloc[0]
    assert c7[["proper_verdict", "verdict"]].tolist() == ["contradicted", "supported"]
    assert c7[["proper_value", "value"]].tolist() == pytest.approx([0, -0.6 / 2])
    assert c7["statistic"] == "Hill exponent of w_out relative to random groups (plateau, rare)"


def test_markdown_names_the_run_s_own_first_and_changes_in_bold():
    row = dict.fromkeys(choices.COLUMNS, 0.5) | {"claim": "C3", "model": "a", "choice": "fixed cuts"}
    row |= {"verdict": "supported", "proper_verdict": "undecided", "changed": True, "ci_low": 0.25}
    text = choices.choices_markdown(pd.DataFrame([row, row | {"choice": "all together", "changed": False}]))
    assert text.splitlines() == [
        "| choice | verdicts it can change | changed | which |",
        "|---|---|---|---|",
        "| fixed cuts | 1 | 1 | C3 a: undecided to supported |",
        "| all together | 1 | 0 | – |",
        "",
        "*none* is the result without any of these choices; verdicts in bold differ from it.",
        "",
        "**C3**",
        "",
        "| model | choice | value (95 % interval) | verdict |",
        "|---|---|---|---|",
        "| a | none | 0.5 (0.5 to 0.5) | undecided |",
        "| | fixed cuts | 0.5 (0.25 to 0.5) | **supported** |",
        "| | all together | 0.5 (0.25 to 0.5) | supported |",
    ]
