"""The checkpoint audit on planted runs: every known kind of fault is named, an honest run is left alone."""

import numpy as np
import pandas as pd
import pytest

from rareneurons.models.audit import AUDIT_COLUMNS, StoredCheckpoint, checkpoint_audit, left_out_note, training_part
from rareneurons.tables import CheckpointName

pytestmark = pytest.mark.calibration
STEPS = [0, 1, 4, 16, 64, 256, 1000, 4000, 14000, 54000, 104000, 143000]


def random_walk(rng: np.random.Generator, steps=STEPS, drift: float = 1.0, size: int = 2000) -> list[np.ndarray]:
    """Weights at the steps: a drift that slows down and noise that adds up, as in training with decaying rates."""
    direction, weights = rng.normal(size=size), [rng.normal(size=size)]
    for before, after in zip(steps, steps[1:], strict=False):
        stride = np.log1p(after) - np.log1p(before)
        weights.append(weights[-1] + 0.1 * stride * drift * direction + 0.3 * np.sqrt(stride) * rng.normal(size=size))
    return weights


def stored(step: int, weights: np.ndarray, **changes) -> StoredCheckpoint:
    name = CheckpointName("model", f"step{step}" if step >= 0 else "main")
    files = {
        "config.json": {"size": 10, "sha256": f"{step}"},
        "model.safetensors": {"size": 1000, "sha256": f"{hash(weights.tobytes()):x}"},
    }
    half = len(weights) // 2
    sample = {"a": weights[:half].astype(np.float32), "b": weights[half:].astype(np.float32)}
    return StoredCheckpoint(name, "hub lab/model", **{"files": files, "sample": sample} | changes)


def audited(weights, steps=STEPS) -> pd.DataFrame:
    return table_of([stored(step, values) for step, values in zip(steps, weights, strict=True)])


def table_of(checkpoints: list[StoredCheckpoint]) -> pd.DataFrame:
    return checkpoint_audit(checkpoints, largest_path_ratio=3, smallest_closeness=0.5).set_index("checkpoint")


def findings(audit: pd.DataFrame) -> dict[str, str]:
    assert (audit["left_out"] == (audit["finding"] != "ok")).all()
    assert (audit["reason"].eq("") == (audit["finding"] == "ok")).all()
    return audit.loc[audit["finding"] != "ok", "finding"].to_dict()


@pytest.mark.parametrize("drift", [0.0, 1.0, 10.0])
def test_honest_runs_have_no_findings(rng, drift):
    for _ in range(50):
        assert findings(audited(random_walk(rng, drift=drift))) == {}


def test_honest_run_that_ends_in_noise_around_a_point(rng):
    """Independent noise around one point has path ratios of 2."""
    for _ in range(20):
        weights = random_walk(rng, STEPS[:6])
        weights += [weights[-1] + 0.2 * rng.normal(size=2000) for _ in STEPS[6:]]
        audit = audited(weights)
        assert findings(audit) == {}
        np.testing.assert_allclose(audit["path_ratio"].iloc[7:-1], 2, atol=0.1)


def test_final_weights_under_many_early_steps(rng):
    """Pythia 2.8B: most of the early branches serve the final model's weights, exactly."""
    weights = random_walk(rng)
    for place in (0, 1, 2, 3, 7):
        weights[place] = weights[-1]
    audit = audited(weights)
    assert findings(audit) == dict.fromkeys(["step0", "step1", "step4", "step16", "step4000"], "duplicate")
    assert audit.loc["step0", "reason"] == "the same weights as step143000"
    assert audit.loc["step143000", "identical_to"] == "step0 step1 step4 step16 step4000"


def test_weights_of_the_end_that_are_not_quite_the_last_ones(rng):
    weights = random_walk(rng)
    for place in (0, 1, 2):
        weights[place] = weights[-1] + 0.02 * rng.normal(size=2000)
    audit = audited(weights)
    assert findings(audit) == dict.fromkeys(["step0", "step1", "step4"], "misplaced")
    assert "from step143000, the later step16 " in audit.loc["step4", "reason"]


def test_an_outlier_near_the_last_checkpoint_is_an_outlier_first(rng):
    weights = random_walk(rng)
    weights[4] = weights[-1] + 0.02 * rng.normal(size=2000)
    assert findings(audited(weights)) == {"step64": "outlier"}


def test_the_third_last_can_be_misplaced(rng):
    """With a path ratio so large allowed that the honest one after it does not look like an outlier."""
    weights = random_walk(rng, drift=10.0)
    weights[-3] = weights[-1] + 0.1 * (weights[-3] - weights[-1])
    checkpoints = [stored(step, values) for step, values in zip(STEPS, weights, strict=True)]
    audit = checkpoint_audit(checkpoints, largest_path_ratio=9, smallest_closeness=0.5).set_index("checkpoint")
    assert findings(audit) == {"step54000": "misplaced"}


def test_run_that_does_not_descend_from_its_own_first_step(rng):
    """PolyPythias: step 0 is another seed's (EleutherAI/pythia issue 203)."""
    for _ in range(20):
        weights = random_walk(rng)
        weights[0] = rng.normal(size=2000)
        audit = audited(weights)
        assert findings(audit) == {"step0": "unrelated"}
        assert audit.loc["step0", "reason"].startswith("step0 and step1 correlate by ")
        assert abs(audit.loc["step0", "correlation_with_next"]) < 0.1 < audit.loc["step1", "correlation_with_next"]


def test_last_steps_of_another_run_are_the_break_s_shorter_side(rng):
    weights = random_walk(rng, STEPS[:8])
    weights[6:] = random_walk(rng, STEPS[:8])[6:]
    assert findings(audited(weights, STEPS[:8])) == dict.fromkeys(["step1000", "step4000"], "unrelated")


def test_steps_far_apart_may_have_nothing_in_common(rng):
    weights = [rng.normal(size=2000) for _ in range(2)]
    assert findings(audited(weights, [0, 143000])) == {}
    assert findings(audited(weights, [0, 512])) == {"step0": "unrelated"}


def test_one_file_of_a_later_step(rng):
    """Pythia 12B: the first shard of two early steps is the final model's (EleutherAI/pythia issue 206)."""
    weights = random_walk(rng)
    shards = [{f"model-{n}-of-2.safetensors": {"size": 9, "sha256": f"{step}.{n}"} for n in (1, 2)} for step in STEPS]
    shards[4]["model-1-of-2.safetensors"] = shards[-1]["model-1-of-2.safetensors"]
    checkpoints = [stored(*each, files=files) for *each, files in zip(STEPS, weights, shards, strict=True)]
    audit = table_of(checkpoints)
    assert findings(audit) == {"step64": "mixed"}
    assert audit.loc["step64", "reason"] == "model-1-of-2.safetensors is that of step143000 (1 of 2 files)"


def test_first_two_steps_alike(rng):
    """All of Pythia: the first step of warm-up has learning rate 0."""
    weights = random_walk(rng)
    weights[0] = weights[1]
    assert findings(audited(weights)) == {"step0": "duplicate"}


@pytest.mark.parametrize("place", [1, 5, 10])
def test_weights_of_another_run(rng, place):
    for _ in range(20):
        weights = random_walk(rng)
        weights[place] = random_walk(rng)[place]
        audit = audited(weights)
        assert findings(audit) == {f"step{STEPS[place]}": "outlier"}
        assert "times the direct distance from" in audit.loc[f"step{STEPS[place]}", "reason"]


def test_missing_checkpoint_and_a_release_without_step(rng):
    weights = random_walk(rng)
    checkpoints = [stored(step, values) for step, values in zip(STEPS, weights, strict=True)]
    checkpoints[3] = stored(16, weights[3], missing="no branch 'step16'", files={}, sample={})
    checkpoints.append(stored(-1, weights[-1]))
    audit = table_of(checkpoints)
    assert findings(audit) == {"step16": "missing"}
    assert audit.loc["main", "identical_to"] == "step143000", "a release may be the last step"
    assert np.isnan(audit.loc["main", "distance_to_last"])
    assert audit.loc["step64", "distance_to_previous"] > 0


@pytest.mark.oracle
def test_distances_are_euclidean_in_units_of_the_last_norm(rng):
    weights = random_walk(rng, STEPS[:4])
    audit = audited(weights, STEPS[:4])
    norm = np.linalg.norm(weights[-1])
    for place in (1, 2, 3):
        row = audit.loc[f"step{STEPS[place]}"]
        assert row["distance_to_previous"] == pytest.approx(np.linalg.norm(weights[place] - weights[place - 1]) / norm)
        assert row["distance_to_last"] == pytest.approx(np.linalg.norm(weights[place] - weights[-1]) / norm)
    way = np.linalg.norm(weights[0] - weights[1]) + np.linalg.norm(weights[1] - weights[2])
    assert audit.loc["step1", "path_ratio"] == pytest.approx(way / np.linalg.norm(weights[0] - weights[2]), rel=1e-5)
    assert audit["path_ratio"].isna().tolist() == [True, False, False, True]


def test_without_samples_hashes_still_speak(rng):
    weights = random_walk(rng, STEPS[:3])
    weights[0] = weights[2]
    checkpoints = [stored(step, values, sample={}) for step, values in zip(STEPS[:3], weights, strict=True)]
    audit = table_of(checkpoints)
    assert findings(audit) == {"step0": "duplicate"}
    assert audit["distance_to_last"].isna().all()


def test_samples_of_another_shape_are_compared_where_they_agree(rng):
    weights = random_walk(rng, STEPS[:3])
    checkpoints = [stored(step, values) for step, values in zip(STEPS[:3], weights, strict=True)]
    other = dict(checkpoints[1].sample) | {"b": np.zeros(3, np.float32)}
    checkpoints[1] = stored(1, weights[1], sample=other)
    expected = np.linalg.norm(weights[0][:1000] - weights[2][:1000]) / np.linalg.norm(weights[2][:1000])
    audit = table_of(checkpoints)
    assert audit["distance_to_last"].iloc[0] == pytest.approx(expected)
    nothing = [checkpoints[0], stored(1, weights[1], sample={"c": np.zeros(3, np.float32)}), checkpoints[2]]
    assert table_of(nothing)["distance_to_last"].isna().all()
    alone = checkpoint_audit(checkpoints[:1], 3, 0.5)
    assert list(alone.columns) == AUDIT_COLUMNS
    assert alone["finding"].tolist() == ["ok"]


def test_what_is_left_out_is_taken_out_of_tables_and_named(rng):
    weights = random_walk(rng)
    weights[0], weights[3] = weights[1], random_walk(rng)[3]
    audit = audited(weights).reset_index()
    table = pd.DataFrame([(model, step, step) for model in ("model", "other") for step in (0, 1, 16, 64)])
    table.columns = ["model", "step", "value"]
    left = training_part(table, audit)
    assert left.loc[left["model"] == "model", "value"].tolist() == [1, 64]
    assert left.loc[left["model"] == "other", "value"].tolist() == [0, 1, 16, 64]
    assert left_out_note(audit, "model").endswith("not what their names say: step0 (duplicate), step16 (outlier)")
    assert left_out_note(audit, "other") == ""
