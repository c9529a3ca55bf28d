"""Origin of every number: packages, device, seed, and the files and commit of each checkpoint."""

import json
import platform
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

import pandas as pd

PACKAGES = (
    "rareneurons",
    "torch",
    "transformers",
    "tokenizers",
    "numpy",
    "scipy",
    "pandas",
    "weightwatcher",
    "snakemake",
)
PROVENANCE_COLUMNS = ["subject", "item", "value"]


def device_name(device: str) -> str:
    """Common name of a device: the accelerator's model, or ``cpu`` with the machine's architecture."""
    if device.startswith("cuda"):
        import torch  # costs a second, and most jobs that read this module have no device

        return torch.cuda.get_device_name(device)
    return f"cpu ({platform.machine()})" if device == "cpu" else device


def package_versions() -> dict[str, str]:
    """Versions of Python and of those packages that compute which are installed."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def code_commit(file: str = __file__) -> str:
    """Commit of the code that runs, with ``-dirty`` behind it if something was changed since; empty if unknown.

    It is that of the repository that tracks the file, else the one that pip installed from.

    Args:
        file: a file of the code.
    """
    if shutil.which("git") and _git(file, "ls-files", "--error-unmatch", file):
        return _git(file, "describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*")
    with suppress(PackageNotFoundError):
        installed_from = json.loads(distribution("rareneurons").read_text("direct_url.json") or "{}")
        return str(installed_from.get("vcs_info", {}).get("commit_id", ""))
    return ""


def _git(file: str, *command: str) -> str:
    """What git prints about a file's repository; empty where it fails."""
    done = subprocess.run(  # noqa: S603 (the commands are those above)
        [str(shutil.which("git")), "-C", str(Path(file).parent), *command], capture_output=True, text=True
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def elbow_reasons(conditions: pd.DataFrame) -> dict[str, str]:
    """Item -> value for each tokenizer whose presets have another elbow than the configured rule's.

    Args:
        conditions: columns of ``rows.describe_conditions``, and ``tokenizer``; empty text may be NaN, as in a CSV file.
    """
    moved = conditions[conditions["elbow_reason"].fillna("") != ""].drop_duplicates("tokenizer")
    return {
        f"elbow of {row.tokenizer}": f"rank fraction {row.elbow:.4f} by {row.elbow_rule}, because {row.elbow_reason}"
        for row in moved.itertuples()
    }


def quantised_models(checkpoints: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Item -> value for each model whose weights were quantised: the types, and the share of its weights in each."""
    return {
        f"weights of {entry['model']}": f"quantised ({entry['quantisation']}), used as float32; {entry['file']}"
        for entry in checkpoints
        if "quantisation" in entry
    }


def provenance_frame(
    settings: Mapping[str, Any], checkpoints: Iterable[Mapping[str, Any]], audit: pd.DataFrame
) -> pd.DataFrame:
    """Table of provenance, in long form.

    Args:
        settings: item -> value, for the whole run.
        checkpoints: for each checkpoint its ``model``, ``checkpoint`` and the values that its forward pass recorded.
        audit: the audit table, which adds each checkpoint's source, commit and weights.

    Returns:
        ``subject`` (``run`` or ``model/checkpoint``), ``item``, ``value`` (text). Empty values are left out.
    """
    known = audit.set_index(["model", "checkpoint"])[
        ["source", "revision", "commit", "weights_hash", "bytes", "finding"]
    ]
    records = [("run", item, value) for item, value in settings.items()]
    for entry in checkpoints:
        model, checkpoint = entry["model"], entry["checkpoint"]
        recorded = {item: value for item, value in entry.items() if item not in ("model", "checkpoint")}
        everything = known.loc[(model, checkpoint)].to_dict() | recorded
        records += [(f"{model}/{checkpoint}", item, value) for item, value in everything.items()]
    frame = pd.DataFrame(records, columns=PROVENANCE_COLUMNS)
    frame["value"] = frame["value"].map(lambda value: "" if pd.isna(value) else str(value))
    return frame[frame["value"] != ""].reset_index(drop=True)
