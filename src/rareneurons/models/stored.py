"""What is stored under a checkpoint's name, in a folder or on the hub: hashes, and a sample read in parts."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from rareneurons.errors import CheckpointError
from rareneurons.model_folders.config_file import config_of
from rareneurons.model_folders.folders import weight_files
from rareneurons.models.audit import StoredCheckpoint
from rareneurons.models.hub import opened_on_hub
from rareneurons.models.weight_sample import weight_sample
from rareneurons.models.weights import sha256_of, stored_places
from rareneurons.tables import CheckpointName

Reader = Callable[[str, str, str], AbstractContextManager[BinaryIO]]  # of a file: repository, commit, name


def stored_in_folder(name: CheckpointName, folder: Path) -> StoredCheckpoint:
    """One folder: its files with their hashes, and a sample of its weights."""
    names = weight_files(file.name for file in folder.glob("*"))
    files = {
        name: {"size": (folder / name).stat().st_size, "sha256": sha256_of(folder / name)}
        for name in ["config.json", *names]
        if (folder / name).exists()
    }
    try:
        sample = weight_sample(names, lambda n: (folder / n).open("rb"))
        stored_places(str(folder))
    except CheckpointError as error:
        return StoredCheckpoint(name, str(folder), files=files, missing=str(error))
    return StoredCheckpoint(name, str(folder), files=files, sample=sample)


def stored_on_hub(name: CheckpointName, listing: Mapping[str, Any], opened: Reader = opened_on_hub) -> StoredCheckpoint:
    """What the hub lists of a checkpoint (:func:`listed_checkpoint`), with a sample of its weights.

    Args:
        name: the checkpoint's.
        listing: of the checkpoint.
        opened: opens a file on the hub for reading in parts.

    Raises:
        HubError: a file cannot be read.
    """
    repository, source = listing["repository"], f"hub {listing['repository']}"
    if "missing" in listing:
        return StoredCheckpoint(name, source, listing["revision"], missing=listing["missing"])
    known = partial(StoredCheckpoint, name, source, listing["revision"], listing["commit"], listing["files"])
    try:
        return known(weight_sample(listing["files"], partial(opened, repository, listing["commit"])))
    except CheckpointError as error:
        return known(missing=str(error))


def config_on_hub(listing: Mapping[str, Any], opened: Reader = opened_on_hub) -> dict[str, Any]:
    """Content of a listed checkpoint's config.json; empty where there is none, or none that can be read."""
    if "missing" in listing:
        return {}
    with opened(listing["repository"], listing["commit"], "config.json") as content:
        return config_of(content.read())
