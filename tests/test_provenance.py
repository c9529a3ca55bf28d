"""The table of where numbers come from."""

import subprocess
from io import StringIO

import numpy as np
import pandas as pd
import torch

from rareneurons.models.audit import StoredCheckpoint, checkpoint_audit
from rareneurons.provenance import (
    PROVENANCE_COLUMNS,
    code_commit,
    device_name,
    elbow_reasons,
    package_versions,
    provenance_frame,
    quantised_models,
)
from rareneurons.tables import CheckpointName


def test_everything_known_of_a_checkpoint_stands_under_its_name():
    files = {"model.safetensors": {"size": 5, "sha256": "ab"}}
    names = [CheckpointName("a", "step0"), CheckpointName("a", "step4")]
    sample = {"w": np.ones(3, np.float32)}
    found = [StoredCheckpoint(name, "hub lab/a", "b", "c0ffee", files, sample) for name in names]
    audit = checkpoint_audit(found, 3, 0.5)
    checkpoints = [{"model": "a", "checkpoint": "step4", "device": "H100", "precision": "float32"}]
    frame = provenance_frame({"seed": 3}, checkpoints, audit)
    assert list(frame.columns) == PROVENANCE_COLUMNS
    known = {(row.subject, row.item): row.value for row in frame.itertuples()}
    assert known["run", "seed"] == "3"
    assert known["a/step4", "commit"] == "c0ffee"
    assert known["a/step4", "weights_hash"] == found[1].weights_hash
    assert known["a/step4", "bytes"] == "5"
    assert known["a/step4", "device"] == "H100"
    assert not any(subject == "a/step0" for subject, _ in known), "it has not been run"


def test_what_is_not_known_is_left_out(tmp_path):
    audit = checkpoint_audit([StoredCheckpoint(CheckpointName("a", "main"), "/folder")], 3, 0.5)
    audit.to_csv(tmp_path / "audit.csv", index=False)
    checkpoints = [{"model": "a", "checkpoint": "main", "device": "cpu"}]
    frame = provenance_frame({}, checkpoints, pd.read_csv(tmp_path / "audit.csv"))
    assert "commit" not in set(frame["item"])
    assert frame.loc[frame["item"] == "source", "value"].tolist() == ["/folder"]


def test_versions_and_device():
    versions = package_versions()
    assert versions["torch"] == torch.__version__.split("+")[0] or versions["torch"] == torch.__version__
    assert {"python", "transformers", "snakemake", "rareneurons"} <= set(versions)
    assert device_name("cpu").startswith("cpu (")
    assert device_name("mps") == "mps"


def test_quantised_weights_and_moved_elbows_are_said_of_the_whole_run():
    checkpoints = [
        {"model": "a", "checkpoint": "main", "file": "a.gguf", "quantisation": "Q4_1 79 %, F32 21 %"},
        {"model": "b", "checkpoint": "main"},
    ]
    assert quantised_models(checkpoints) == {"weights of a": "quantised (Q4_1 79 %, F32 21 %), used as float32; a.gguf"}
    conditions = pd.DataFrame(
        {"tokenizer": ["s", "s", "t"], "elbow": [0.478, 0.478, 0.3], "elbow_rule": ["mass", "mass", "kneedle"]}
    ).assign(elbow_reason=["by kneedle it lies at 0.1", "by kneedle it lies at 0.1", ""])
    as_configured = pd.read_csv(StringIO(conditions[conditions["tokenizer"] == "t"].to_csv(index=False)))
    assert elbow_reasons(as_configured) == {}
    assert elbow_reasons(pd.read_csv(StringIO(conditions.to_csv(index=False)))) == {
        "elbow of s": "rank fraction 0.4780 by mass, because by kneedle it lies at 0.1"
    }


def test_the_commit_is_that_of_the_repository_that_tracks_the_code(tmp_path):
    file = tmp_path / "code.py"
    file.write_text("a = 1\n")

    def git(*command):
        identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
        done = subprocess.run(["git", *identity, *command], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q")
    before = code_commit(str(file))  # lies in a repository that does not track it
    git("add", "code.py")
    git("commit", "-qm", "one")
    git("tag", "v1")
    commit = git("rev-parse", "HEAD")
    assert before != commit
    assert code_commit(str(file)) == commit
    file.write_text("a = 2\n")
    assert code_commit(str(file)) == f"{commit}-dirty"
