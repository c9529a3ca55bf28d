"""Checkpoints on the model hub: what a repository holds at which commit, and a download that is checked by hash."""

import errno
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import httpx2
from huggingface_hub import HfApi, HfFileSystem, constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from rareneurons.errors import HubError
from rareneurons.model_folders.branches import branches_like, nearest_branches
from rareneurons.model_folders.folders import adapter_in, weight_files
from rareneurons.models.weights import sha256_of

MIB = 2**20
NAMES_SHOWN = 20
THIS_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def hub_errors(what: str) -> Iterator[None]:
    """Turn whatever the hub's client raises into one message that says what to do.

    Raises:
        HubError: begins with ``what``.
        OSError: this machine's disk is full or may not be written to; no fault of the hub.
    """
    try:
        yield
    except (HfHubHTTPError, httpx2.HTTPError, OfflineModeIsEnabled, OSError) as error:
        if isinstance(error, OSError) and error.errno in THIS_MACHINE:
            raise
        raise HubError(f"{what}: {_advice(error)}") from error


def _advice(error: Exception) -> str:
    if isinstance(error, GatedRepoError):
        return "the repository is gated; accept its terms on the hub and set HF_TOKEN to a token that may read it"
    if isinstance(error, RevisionNotFoundError):
        return "the repository has no such branch, tag or commit; correct it in the configuration"
    if isinstance(error, RepositoryNotFoundError):
        return f"{constants.ENDPOINT} knows no such repository; check its spelling, or set HF_TOKEN if it is private"
    if isinstance(error, HfHubHTTPError):
        return f"{constants.ENDPOINT} answered {error.response.status_code}; what was downloaded is kept, run again"
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set; fetch where there is internet (--until fetch_checkpoint audit_hub), or unset it"
    return (
        f"{constants.ENDPOINT} cannot be read ({error}). Files are fetched where snakemake was started and need the "
        "internet there; HF_ENDPOINT names a mirror. What was downloaded is kept, run again"
    )


def repository_files(repository: str, revision: str) -> dict[str, Any]:
    """Which files of a checkpoint the analysis needs, at which commit; nothing is downloaded.

    Args:
        repository: ``owner/name``.
        revision: branch, tag or commit.

    Returns:
        ``commit``, and ``files``: name -> ``size`` (bytes) and ``sha256``, which the hub knows of large files alone
        (else None). Where there are no weights, ``missing`` says so instead.

    Raises:
        HubError: no such repository or revision, or the hub cannot be reached.
    """
    with hub_errors(f"{repository} at {revision}"):
        info = HfApi().model_info(repository, revision=revision, files_metadata=True)
    known = {file.rfilename: file for file in info.siblings or []}
    weights = weight_files(known)
    if adapter_in(known):
        return {"missing": f"it {adapter_in(known)}"}
    if not weights or "config.json" not in known:
        shown = ", ".join(sorted(known)[:NAMES_SHOWN]) or "no files"
        return {"missing": f"found {shown}; expected config.json and weights as safetensors or pytorch_model*.bin"}
    files = {}
    for name in ["config.json", *weights]:
        lfs = known[name].lfs
        files[name] = {"size": known[name].size, "sha256": lfs.sha256 if lfs else None}
    return {"commit": info.sha, "files": files}


def listed_checkpoint(repository: str, revision: str) -> dict[str, Any]:
    """A checkpoint's ``repository``, ``revision``, ``commit`` and ``files``, or under ``missing`` why it is unusable.

    Args:
        repository: ``owner/name``.
        revision: branch, tag or commit; parts in braces (``{tokens}``) are filled in from the repository's branches.

    Raises:
        HubError: no such repository, or the hub cannot be reached.
    """
    known = branches_and_tags(repository)
    found = [revision] if is_commit(revision) else branches_like(revision, known)
    if len(found) == 1:
        return {"repository": repository, "revision": found[0]} | repository_files(repository, found[0])
    missing = (
        f"{repository} has {len(found)} branches that fit {revision!r}: {', '.join(found)}. Write the part in "
        "braces as the one that is meant has it (models[].revision)"
        if found
        else f"{repository} has no branch {revision!r}; its branches and tags with the most similar names are "
        f"{nearest_branches(revision, known)}. If steps have other names there, set models[].revision"
    )
    return {"repository": repository, "revision": revision, "missing": missing}


def branches_and_tags(repository: str) -> list[str]:
    """Names of a repository's branches and tags, sorted.

    Raises:
        HubError: no such repository, or the hub cannot be reached.
    """
    with hub_errors(repository):
        refs = HfApi().list_repo_refs(repository)
    return sorted(ref.name for ref in [*refs.branches, *refs.tags])


def is_commit(revision: str) -> bool:
    """Whether a revision is a full commit hash."""
    return len(revision) == 40 and set(revision) <= set("0123456789abcdef")


@contextmanager
def opened_on_hub(repository: str, commit: str, name: str) -> Iterator[BinaryIO]:
    """A file on the hub to read in parts: little more than what is read travels.

    Raises:
        HubError: the file cannot be read.
    """
    with (
        hub_errors(f"{repository}/{name} at {commit}"),
        HfFileSystem().open(f"{repository}@{commit}/{name}", "rb", block_size=2**15) as file,
    ):
        yield file


def download(repository: str, commit: str, files: Mapping[str, Mapping[str, Any]], folder: str) -> dict[str, str]:
    """Download files of a commit into a folder and check each against its known hash.

    Files that are there already are not downloaded again, so an interrupted download resumes where it stopped.

    Args:
        repository: ``owner/name``.
        commit: full commit hash.
        files: name -> ``size`` and ``sha256``, as :func:`repository_files` returns them.
        folder: kept if the download breaks off.

    Returns:
        Name -> SHA-256 of every file.

    Raises:
        HubError: no room on the disk, the download broke off, or a hash differs; that file is then deleted.
    """
    target, what = Path(folder), f"{repository} at {commit[:12]}"
    target.mkdir(parents=True, exist_ok=True)
    needed = sum(file["size"] for name, file in files.items() if not (target / name).exists())
    free = shutil.disk_usage(target).free
    if needed > free:
        raise HubError(
            f"{what}: needs {needed / MIB:.0f} MiB, {target} has {free / MIB:.0f} MiB free. Make room, or put the run "
            "on a larger disk (snakemake --directory), and run again"
        )
    with hub_errors(what):
        snapshot_download(repository, revision=commit, allow_patterns=list(files), local_dir=folder)
    found = {name: sha256_of(target / name) for name in files}
    for name, file in files.items():
        if file["sha256"] not in (None, found[name]):
            (target / name).unlink()
            raise HubError(
                f"{what}: {name} has SHA-256 {found[name]}, the hub lists {file['sha256']}; the file was deleted. "
                "Run again; if this happens again, the hub or its mirror serves a damaged file"
            )
    shutil.rmtree(target / ".cache")  # the client's notes on a download that is now complete
    return found
