"""The paper's numbers: where they find their counterpart in a run, and what is read off a curve."""

import numpy as np
import pandas as pd
import pytest

from rareneurons.comparison import paper
from rareneurons.influence.sums import InfluenceSums
from rareneurons.regimes.curve import RankCurve
from rareneurons.tables import CheckpointName, Estimate, measure_frame

PAIR = ("rare", "common")
NO_LINES = pd.DataFrame(columns=[*paper.NUMBERS, "n"])


def regimes(checkpoints=(("small", "step0", 40), ("small", "step9", 40), ("large", "step9", 70))):
    frames = []
    for model, checkpoint, boost, *others in checkpoints:
        estimates = [("rare", "boost", Estimate("n_neurons", boost, "neurons", 9))]
        estimates += [("rare", "suppress", Estimate("n_neurons", *(others or [50]), "neurons", 9))]
        end = Estimate("plateau_end", np.log(20), "ln rank", 9, np.log(10), np.log(40), part="auto")
        estimates += [(condition, "boost", end) for condition in ("rare", "common", "era-a")]
        frames.append(measure_frame(CheckpointName(model, checkpoint), estimates))
    return pd.concat(frames, ignore_index=True)


def number(**given):
    blank = dict.fromkeys(paper.paper_numbers().columns, np.nan) | {"side": "condition", "definition": "theirs"}
    asked = {"table": "regimes", "group": "boost", "measure": "plateau_end", "part": "auto", "column": "value"}
    text = dict.fromkeys(("preset", "model", "part", "against", "statistic"), object)
    return pd.DataFrame([blank | asked | {"paper_value": 35, "unit": "neurons"} | given]).astype(text)


def compared(numbers):
    return paper.paper_comparison(paper.placed(numbers, regimes(), {}, PAIR), {"regimes": regimes()}, NO_LINES)


def place(run=None, presets=None, **given):
    found = paper.placed(number(**given), regimes() if run is None else run, presets or {}, PAIR).iloc[0]
    return found["match"], found["model"], found["checkpoint"], found["condition"]


def test_the_same_model_is_at_the_last_checkpoint_of_the_paper_s_steps():
    run = regimes([("small", f"step{step}", 40) for step in (0, 512, 1000, 143000)] + [("large", "step5", 90)])
    assert place(run, model="small", first_step=0, last_step=900)[:3] == ("same model", "small", "step512")
    assert place(run, model="small", first_step=143000, last_step=143000)[2] == "step143000"
    assert place(run, model="small")[2] == "step143000"


def test_a_model_without_its_checkpoint_is_not_in_the_run():
    assert place(model="small", first_step=10, last_step=900)[:2] == ("not in this run", None)


def test_the_largest_model_s_end_stands_in_for_the_end_of_another():
    assert place(model="gpt2-xl")[:3] == ("other model", "large", "step9")
    assert place(model="pythia", first_step=143000, last_step=143000)[:2] == ("other model", "large")
    assert place(model="pythia", first_step=0, last_step=512)[:2] == ("not in this run", None)
    assert place()[:2] == ("model not named", "large")
    flipped = regimes([("small", "step9", 90), ("large", "step9", 70)])
    assert place(flipped, model="gpt2-xl")[1] == "small"
    of_both_signs = regimes([("small", "step9", 90, 20), ("large", "step9", 70, 60)])
    assert place(of_both_signs, model="gpt2-xl")[1] == "large"


def test_the_condition_is_that_of_the_paper_s_band_where_the_run_has_it():
    assert place(preset="authors_longtail_50", presets={"authors_longtail_50": "era-a"})[3] == "era-a"
    assert place(preset="authors_longtail_50")[3] == "rare"
    assert place(side="contrast")[3] == "common"
    stands_in = paper.placed(number(preset="authors_0_50"), regimes(), {}, PAIR)["definition"].iloc[0]
    assert stands_in == "theirs; this run has no condition of that band (authors_0_50)"


def test_numbers_of_neurons_are_compared_in_neurons():
    found = paper.paper_comparison(paper.placed(number(), regimes(), {}, PAIR), {"regimes": regimes()}, NO_LINES).iloc[
        0
    ]
    assert found[["value", "ci_low", "ci_high"]].tolist() == pytest.approx([20, 10, 40])
    assert list(found.index) == paper.COLUMNS
    logarithm = paper.placed(number(unit="ln rank"), regimes(), {}, PAIR)
    assert paper.paper_comparison(logarithm, {"regimes": regimes()}, NO_LINES)["value"].iloc[0] == pytest.approx(
        np.log(20)
    )


def test_what_has_no_value_says_so():
    found = compared(number(measure="nothing")).iloc[0]
    assert found["definition"] == "theirs; it has no value in this run"
    both = pd.concat([number(), number(measure=np.nan, table=np.nan)], ignore_index=True)
    found = compared(both).iloc[1]
    assert (found["match"], found["definition"]) == ("no measure", "theirs")
    assert pd.isna(found["value"])


def curve(n=1000, exponent=0.6, top=-3.0):
    ln_rank = np.log(np.arange(1, n + 1))
    return RankCurve(np.arange(n), ln_rank, top - exponent * ln_rank)


def test_a_power_law_has_its_exponent_in_every_band():
    for band in ((3.5, 4.5), (5.5, 7), (np.nan, np.nan)):
        assert paper.on_curve(curve(), "line_exponent", *band, np.nan) == pytest.approx(0.6)
        assert paper.on_curve(curve(), "line_height_at_rank_1", *band, np.nan) == pytest.approx(-3)
    assert paper.on_curve(curve(), "height", np.nan, np.nan, 4.5) == pytest.approx(-3 - 0.6 * 4.5)
    assert paper.on_curve(curve(), "height", np.nan, np.nan, 0) == -3


def test_a_line_sees_its_own_band_alone():
    bent = curve()
    bent.ln_influence[34:90] -= bent.ln_rank[34:90]  # ranks 35 to 90: the ln ranks from 3.5 to 4.5, but for rank 34
    assert paper.on_curve(bent, "line_exponent", 3.6, 4.49, np.nan) == pytest.approx(1.6)
    assert paper.on_curve(bent, "line_exponent", 5.5, 7, np.nan) == pytest.approx(0.6)


def test_nothing_is_read_beyond_the_last_rank():
    assert np.isnan(paper.on_curve(curve(100), "height", np.nan, np.nan, 4.7))
    assert np.isnan(paper.on_curve(curve(100), "line_exponent", 5.5, 7, np.nan))
    with pytest.raises(ValueError, match="^measure: found 'line', expected height, line_exponent or line_height_at"):
        paper.on_curve(curve(), "line", 3, 4, np.nan)


@pytest.mark.oracle
def test_lines_and_their_intervals_equal_a_loop_over_documents(rng):
    n_documents, n = 30, 80
    rows = rng.integers(1, 5, size=n_documents)
    signed = rng.normal(size=(n_documents, n)) + 0.3 * rng.normal(size=n)
    sums = InfluenceSums(np.arange(n_documents), rows, signed, np.abs(signed) + rng.random((n_documents, n)))
    asked = [
        number(table=paper.LINES, measure="line_exponent", statistic=statistic, low=1, high=3, group=group)
        for statistic in ("mean_abs", "abs_mean")
        for group in ("boost", "suppress")
    ]
    places = paper.placed(pd.concat(asked, ignore_index=True), regimes(), {}, PAIR)

    def sums_of(model, checkpoint, name):
        assert (model, checkpoint, name) == ("large", "step9", "rare/heldout")
        return sums

    table = paper.line_table(places, sums_of, 40, np.random.default_rng(5))
    assert (table["n"] == n_documents).all()
    weights = np.random.default_rng(5).multinomial(n_documents, np.full(n_documents, 1 / n_documents), size=40)
    for row in places.join(table).to_dict("records"):
        found = []
        for draw in [np.ones(n_documents, int), *weights]:
            documents = np.repeat(np.arange(n_documents), draw)
            mean = signed[documents].sum(0) / rows[documents].sum()
            size = sums.absolute[documents].sum(0) / rows[documents].sum()
            size = size if row["statistic"] == "mean_abs" else np.abs(mean)
            heights = np.log(-np.sort(-size[mean > 0 if row["group"] == "boost" else mean < 0]))
            x = np.log(np.arange(1, len(heights) + 1))
            inside = (x >= 1) & (x < 3)
            found.append(-np.polyfit(x[inside], heights[inside], 1)[0])
        assert row["value"] == pytest.approx(found[0])
        assert (row["ci_low"], row["ci_high"]) == pytest.approx(tuple(np.quantile(found[1:], [0.025, 0.975])))


def test_a_run_without_the_numbers_needs_no_sums():
    def sums_of(*_):
        raise AssertionError

    absent = paper.placed(number(table=paper.LINES, model="small", first_step=3, last_step=4), regimes(), {}, PAIR)
    assert paper.line_table(absent, sums_of, 10, np.random.default_rng(0)).empty


def test_the_numbers_are_whole_and_ask_for_what_exists():
    """Of each: a source, a value or a range, a definition; and the lines can be read."""
    numbers = paper.paper_numbers()
    assert not numbers.duplicated(["model", "first_step", "paper_quantity", "group"]).any()
    assert numbers[["paper", "source", "paper_quantity", "unit", "definition"]].notna().all(axis=None)
    assert numbers[["paper_value", "paper_low", "paper_high"]].notna().any(axis=1).all()
    assert (numbers["paper_low"].fillna(-np.inf) <= numbers["paper_high"].fillna(np.inf)).all()
    asked = numbers[numbers["measure"].notna()]
    assert set(asked["table"]) == {"regimes", "coordination", "organization", paper.LINES}
    assert set(asked["side"]) == {"condition", "contrast"}
    assert set(asked["column"]) == set(paper.SOURCES)
    lines = asked[asked["table"] == paper.LINES]
    assert set(lines["statistic"]) == {"mean_abs", "abs_mean"}
    for line in lines.itertuples():
        paper.on_curve(curve(), line.measure, line.low, line.high, line.at)
