"""The real client against a hub on this machine: each checkpoint its own weights, each fault one clear error."""

import errno
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import tiny_model
from hub_server import Hub, digest, served
from huggingface_hub import constants
from safetensors.torch import load_file
from safetensors.torch import save_file as save_tensors

from rareneurons.errors import HubError
from rareneurons.models import hub as client
from rareneurons.models.checkpoints import open_checkpoint
from rareneurons.models.weight_sample import weight_sample
from rareneurons.models.weights import weight_matrices

pytestmark = pytest.mark.hub
BRANCHES = ("step0", "step512", "main")


@pytest.fixture(scope="module")
def repositories(tmp_path_factory) -> dict[str, dict[str, Path]]:
    """A GPT-NeoX with three branches, a GPT-2 as ``.bin`` and a Llama in shards."""
    root = tmp_path_factory.mktemp("repositories")
    for seed, branch in enumerate(BRANCHES):
        tiny_model("gpt_neox", seed).save_pretrained(root / "neox" / branch)
    tiny_model("gpt2").save_pretrained(root / "gpt2")
    weights = load_file(root / "gpt2/model.safetensors")
    (root / "gpt2/model.safetensors").unlink()
    torch.save(weights, root / "gpt2/pytorch_model.bin")
    tiny_model("llama").save_pretrained(root / "llama", max_shard_size="8KB")
    return {
        "lab/neox": {branch: root / "neox" / branch for branch in BRANCHES},
        "lab/gpt2": {"main": root / "gpt2"},
        "lab/llama": {"main": root / "llama"},
    }


@pytest.fixture
def hub(repositories, monkeypatch, tmp_path):
    with served(Hub(repositories)) as running:
        point_at(running.url, monkeypatch)
        yield running


def point_at(url: str, monkeypatch) -> None:
    """What HF_ENDPOINT does before the client is imported."""
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


def fetched(repository: str, revision: str, folder: Path) -> dict[str, str]:
    entry = client.repository_files(repository, revision)
    return client.download(repository, entry["commit"], entry["files"], str(folder))


@pytest.mark.parametrize("branch", BRANCHES)
def test_each_checkpoint_loads_its_own_weights(hub, branch, tmp_path):
    hashes = fetched("lab/neox", branch, tmp_path / "weights")
    own = hub.repositories["lab/neox"][branch]
    assert hashes["model.safetensors"] == digest((own / "model.safetensors").read_bytes())
    assert sorted(path.name for path in (tmp_path / "weights").iterdir()) == ["config.json", "model.safetensors"]
    opened = open_checkpoint(str(tmp_path / "weights"))
    expected = tiny_model("gpt_neox", BRANCHES.index(branch))
    assert torch.equal(opened.unembedding, expected.get_output_embeddings().weight)


@pytest.mark.parametrize("repository", ["lab/gpt2", "lab/llama"])
def test_bin_files_and_shards_load(hub, repository, tmp_path):
    names = fetched(repository, "main", tmp_path / "weights")
    assert ("pytorch_model.bin" in names) == (repository == "lab/gpt2")
    assert (len(names) > 4) == (repository == "lab/llama")
    opened = open_checkpoint(str(tmp_path / "weights"))
    expected = tiny_model(repository.split("/")[-1])
    assert torch.equal(opened.unembedding, expected.get_output_embeddings().weight)


def test_listing_names_commits_files_and_what_is_not_there(hub):
    first, other = (client.listed_checkpoint("lab/neox", branch) for branch in ("step0", "step512"))
    assert first["commit"] == hub.commit("lab/neox", "step0") != other["commit"]
    assert len(first["files"]["model.safetensors"]["sha256"]) == 64
    assert first["files"]["model.safetensors"] != other["files"]["model.safetensors"]
    missing = client.listed_checkpoint("lab/neox", "step9")["missing"]
    assert missing == (
        "lab/neox has no branch 'step9'; its branches and tags with the most similar names are step0, step512, main. "
        "If steps have other names there, set models[].revision"
    )
    pinned = client.listed_checkpoint("lab/neox", other["commit"])
    assert pinned["files"] == other["files"]
    assert not hub.sent, "a listing downloads nothing"


def test_parts_in_braces_are_filled_in_from_the_repository_s_branches(monkeypatch, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_text("weights")
    names = ["main", "stage1-step0-tokens0B", "stage1-step1000-tokens3B", "a1-step5", "a2-step5"]
    with served(Hub({"lab/olmo": dict.fromkeys(names, tmp_path)})) as hub:
        point_at(hub.url, monkeypatch)
        found = client.listed_checkpoint("lab/olmo", "stage1-step1000-tokens{tokens}B")
        assert found["revision"] == "stage1-step1000-tokens3B"
        assert found["commit"] == hub.commit("lab/olmo", "stage1-step1000-tokens3B")
        several = client.listed_checkpoint("lab/olmo", "a{part}-step5")["missing"]
        assert several.startswith("lab/olmo has 2 branches that fit 'a{part}-step5': a1-step5, a2-step5. Write")
        none = client.listed_checkpoint("lab/olmo", "stage1-step2000-tokens{tokens}B")["missing"]
        assert "names are stage1-step1000-tokens3B, stage1-step0-tokens0B" in none


@pytest.mark.oracle
@pytest.mark.parametrize("repository", ["lab/neox", "lab/gpt2", "lab/llama"])
def test_sample_read_in_parts_equals_the_weights(hub, repository):
    entry = client.repository_files(repository, "main")
    sample = weight_sample(entry["files"], partial(client.opened_on_hub, repository, entry["commit"]))
    weights = weight_matrices(str(hub.repositories[repository]["main"]))
    assert len(sample) >= 8
    for name, values in sample.items():
        np.testing.assert_array_equal(values, weights[name].flatten())


def test_sample_of_a_large_file_reads_little_of_it(tmp_path, monkeypatch):
    folder = tmp_path / "large"
    folder.mkdir()
    weights = {f"layer.{number}.weight": torch.randn(600, 500) for number in range(60)}
    save_tensors(weights, folder / "model.safetensors")
    (folder / "config.json").write_text("{}")
    with served(Hub({"lab/large": {"main": folder}})) as hub:
        point_at(hub.url, monkeypatch)
        entry = client.repository_files("lab/large", "main")
        sample = weight_sample(entry["files"], partial(client.opened_on_hub, "lab/large", entry["commit"]))
        assert hub.sent["model.safetensors"] < 0.04 * (folder / "model.safetensors").stat().st_size
    assert len(sample) == 24
    middle = weights["layer.0.weight"].flatten()[(300000 - 4096) // 2 :][:4096]
    np.testing.assert_array_equal(sample["layer.0.weight"], middle)


@pytest.mark.faults
def test_connection_that_breaks_resumes_where_it_was(hub, monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)  # what arrives is kept in pieces of this size
    size = (hub.repositories["lab/neox"]["main"] / "model.safetensors").stat().st_size
    hub.truncated["model.safetensors"] = 1
    fetched("lab/neox", "main", tmp_path / "weights")
    assert size <= hub.sent["model.safetensors"] < size + 1000, "the second request asks for the second half alone"


@pytest.mark.faults
def test_file_that_is_always_cut_short_is_refused(hub, tmp_path):
    hub.truncated["model.safetensors"] = 1000
    with pytest.raises(HubError, match=r"^lab/neox at \w{12}: http.* cannot be read .*What was downloaded is kept"):
        fetched("lab/neox", "main", tmp_path / "weights")
    assert not (tmp_path / "weights/model.safetensors").exists()


@pytest.mark.faults
def test_cut_download_keeps_the_shards_it_has(hub, tmp_path):
    entry = client.repository_files("lab/llama", "main")
    last = max(name for name in entry["files"] if name.endswith(".safetensors"))
    hub.refused.add(last)
    with pytest.raises(HubError, match=r"^lab/llama at \w{12}: http.* answered 500; what was downloaded is kept"):
        client.download("lab/llama", entry["commit"], entry["files"], str(tmp_path / "weights"))
    hub.refused.clear()
    hub.sent.clear()
    client.download("lab/llama", entry["commit"], entry["files"], str(tmp_path / "weights"))
    assert set(hub.sent) <= {last, "config.json"}


@pytest.mark.faults
def test_damaged_file_is_refused_and_deleted(hub, tmp_path):
    hub.damaged.add("model.safetensors")
    with pytest.raises(
        HubError, match=r"model.safetensors has SHA-256 \w{64}, the hub lists \w{64}; the file was deleted"
    ):
        fetched("lab/neox", "main", tmp_path / "weights")
    assert not (tmp_path / "weights/model.safetensors").exists()
    hub.damaged.clear()
    fetched("lab/neox", "main", tmp_path / "weights")


@pytest.mark.faults
def test_unknown_repository_and_revision_and_a_hub_that_is_not_there(hub, monkeypatch):
    with pytest.raises(HubError, match="^lab/nox: http.* knows no such repository; check its spelling"):
        client.listed_checkpoint("lab/nox", "main")
    with pytest.raises(HubError, match="^lab/neox at step9: the repository has no such branch"):
        client.repository_files("lab/neox", "step9")
    point_at("http://127.0.0.1:9", monkeypatch)
    with pytest.raises(HubError, match=r"http://127.0.0.1:9 cannot be read .*HF_ENDPOINT names a mirror"):
        client.repository_files("lab/neox", "main")


@pytest.mark.faults
def test_repository_without_weights_is_listed_as_missing(monkeypatch, tmp_path):
    (tmp_path / "README.md").write_text("soon")
    with served(Hub({"lab/empty": {"main": tmp_path}})) as hub:
        point_at(hub.url, monkeypatch)
        found = client.repository_files("lab/empty", "main")
    assert found == {
        "missing": "found README.md; expected config.json and weights as safetensors or pytorch_model*.bin"
    }


@pytest.mark.faults
def test_weights_without_a_configuration_are_no_checkpoint(monkeypatch, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"x")
    with served(Hub({"lab/half": {"main": tmp_path}})) as hub:
        point_at(hub.url, monkeypatch)
        assert "found model.safetensors; expected config.json" in client.repository_files("lab/half", "main")["missing"]


@pytest.mark.faults
def test_this_machine_s_faults_are_not_the_hub_s(monkeypatch):
    monkeypatch.setattr(client.constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(OSError, match="No space left"), client.hub_errors("lab/neox"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(HubError, match="lab/neox: .* cannot be read"), client.hub_errors("lab/neox"):
        raise OSError(errno.ECONNRESET, "Connection reset by peer")


@pytest.mark.faults
def test_full_disk_is_said_before_the_download(hub, monkeypatch, tmp_path):
    entry = client.repository_files("lab/neox", "main")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 100))
    with pytest.raises(HubError, match=r"needs 0 MiB, .* has 0 MiB free. Make room"):
        client.download("lab/neox", entry["commit"], entry["files"], str(tmp_path / "weights"))
    assert not hub.sent
