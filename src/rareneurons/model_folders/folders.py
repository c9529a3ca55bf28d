"""Which checkpoints a folder holds, and from which of its files each is read.

Planning a run reads folders, too: nothing large is imported here.
"""

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path

ITSELF = "."  # the folder itself, among the names of its sub-folders
# What comes before the step in the name of a checkpoint's folder: by Pythia, DeepSpeed, transformers, Megatron ...; and
# OLMo's names, such as stage1-step10000-tokens21B.
STEP_FOLDER = re.compile(
    r"((?:(?:stage\d+-(?:ingredient\d+-)?)?(?:step|global_step|checkpoint|ckpt|iter)[-_]?)?)(\d+)(?:-tokens\d+B)?"
)
ADAPTER = "adapter_config.json"


def models_in(path: str) -> dict[str, bool] | None:
    """Which folders lie in a folder, and which of them hold a config.json.

    Returns:
        Name -> whether there is a config.json, ``.`` for the folder itself; None if there is no such folder.
    """
    folder = Path(path)
    if not folder.is_dir():
        return None
    inner = {entry.name: _holds_model(entry) for entry in folder.iterdir() if entry.is_dir()}
    return {ITSELF: _holds_model(folder), **dict(sorted(inner.items()))}


def _holds_model(folder: Path) -> bool:
    """Whether there is a model's description or an adapter's, which is then refused as one."""
    return any((folder / name).is_file() for name in ("config.json", ADAPTER))


def step_of(name: str) -> tuple[str, int] | None:
    """Prefix and training step of a checkpoint's folder by its name; None for any other name.

    ``checkpoint-500`` is step 500. ``llama-7b``, ``run2`` and ``v1`` are no steps.

    Examples:
        >>> step_of("checkpoint-500")
        ('checkpoint-', 500)
        >>> step_of("stage1-step10000-tokens21B")
        ('stage1-step', 10000)
        >>> step_of("llama-7b")
    """
    found = STEP_FOLDER.fullmatch(name)
    return (found[1], int(found[2])) if found else None


def checkpoints_among(folder: str, models: Mapping[str, bool], main_is_left_out: bool) -> dict[str, str]:
    """Checkpoints that a folder holds.

    Args:
        folder: its path.
        models: what :func:`models_in` says of it.
        main_is_left_out: whether the configuration leaves ``main`` out, which says that the steps are meant.

    Returns:
        Checkpoint -> folder, in the order of steps; ``main`` for a model in the folder itself or in its ``main``.

    Raises:
        ValueError: nothing is there, or it is not clear what is meant; says what to write in the configuration.
    """
    holding = [name for name, holds in models.items() if holds and name != ITSELF]
    steps = {name: found for name in holding if (found := step_of(name))}
    if len({prefix for prefix, _ in steps.values()}) > 1:
        by_prefix = {prefix: name for name, (prefix, _) in steps.items()}
        raise ValueError(
            f"{folder!r} holds checkpoints under different kinds of names, {', '.join(map(repr, by_prefix.values()))}; "
            "their steps may not count the same. Name the folders to use under `folders`"
        )
    of_step: dict[int, str] = {}
    for name, (_, step) in steps.items():
        if step in of_step:
            raise ValueError(
                f"{folder!r} holds {of_step[step]!r} and {name!r}, both of step {step}; name the folders to use under "
                "`folders`"
            )
        of_step[step] = name
    places = {f"step{step}": str(Path(folder) / of_step[step]) for step in sorted(of_step)}
    main = folder if models[ITSELF] else str(Path(folder) / "main") if "main" in holding else None
    if main and places and not main_is_left_out:
        where, beside = "itself" if main == folder else "in main", _some([of_step[step] for step in sorted(of_step)])
        raise ValueError(
            f"{folder!r} holds a model {where}, and checkpoints beside it: {beside}. "
            f"Add `leave_out: [main]` for the checkpoints, or write `folders: {{main: {main}}}` for that model"
        )
    if not main and not places:
        raise ValueError(
            f"{folder!r} holds neither config.json nor folders of checkpoints with one (such as step500 or "
            f"checkpoint-500); found {_some([name for name in models if name != ITSELF]) or 'no folders'}. Give a "
            "folder as save_pretrained writes it, or a folder of those; others can be named under `folders`"
        )
    return ({"main": main} if main else {}) | places


def passed_over(models: Mapping[str, bool]) -> list[str]:
    """Folders beside checkpoints that look like models but are not used; each with the reason."""
    if models[ITSELF] or not any(holds and step_of(name) for name, holds in models.items()):
        return []
    return [
        f"{name} ({'its name is no training step' if holds else 'it holds no config.json'})"
        for name, holds in models.items()
        if name not in (ITSELF, "main") and holds != bool(step_of(name))
    ]


def weight_files(names: Iterable[str]) -> list[str]:
    """Of a checkpoint's file names those that transformers reads the weights from, an index before its shards.

    Safetensors go before ``.bin`` files, a single file before shards. Empty where there are no weights.
    """
    names = set(names)
    for stem, suffix in (("model", "safetensors"), ("pytorch_model", "bin")):
        single, index = f"{stem}.{suffix}", f"{stem}.{suffix}.index.json"
        if single in names:
            return [single]
        shards = sorted(name for name in names if fnmatch(name, f"{stem}-*-of-*.{suffix}") and "/" not in name)
        if index in names and shards:
            return [index, *shards]
    return []


def checkpoint_files(folder: str) -> list[str]:
    """Paths of the files that a checkpoint is read from; empty where there are none."""
    names = {entry.name for entry in Path(folder).glob("*")}
    described = [name for name in ("config.json", ADAPTER) if name in names]
    return [str(Path(folder) / name) for name in (*described, *weight_files(names))]


def dates_and_sizes(folder: str) -> dict[str, str]:
    """Name -> date and size of each of a checkpoint's files; another content has another date or size.

    Dates alone would not do: a file that was written long ago may take another's place today.
    """
    said = {}
    for file in map(Path, checkpoint_files(folder)):
        if file.exists():  # a link may lead nowhere
            status = file.stat()
            said[file.name] = f"{int(status.st_mtime)} {status.st_size}"
    return said


def adapter_in(names: Iterable[str]) -> str:
    """What is wrong with a folder that holds an adapter, by its files' names; empty without one."""
    names = set(names)
    if ADAPTER not in names:
        return ""
    beside = "beside a model's weights; these alone are another model" if weight_files(names) else "not a whole model"
    return (
        f"holds an adapter ({ADAPTER}), {beside}. Expected the weights with the adapter merged into them: "
        "`PeftModel.from_pretrained(base, folder).merge_and_unload().save_pretrained(other_folder)`"
    )


def stand_in(first_bytes: bytes) -> str:
    """What lies in the place of a file's content, by its first bytes; empty where it may be the content itself."""
    start = first_bytes.lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        return "a git-LFS pointer, not the file itself; `git lfs pull` in its repository fetches it"
    if start.startswith((b"/annex/objects", b"../.git/annex", b".git/annex")):
        return "a git-annex pointer, not the file itself; `git annex get` fetches it"
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page, not the file itself; download it again"
    return ""


def _some(names: list[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + ", ..." * (len(names) > most)
