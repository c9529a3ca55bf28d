"""What every script shares: a log with progress, one clear message for a user's error, atomic outputs."""

import errno
import gc
import json
import logging
import os
import re
import secrets
import shutil
import sys
import time
import traceback
import warnings
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from rareneurons.errors import DamagedFileError, RareNeuronsError
from rareneurons.tables import CheckpointName, with_empty_text

_terminal = sys.stderr
PROGRESS_SECONDS = 10  # shorter loops say nothing on the terminal
FULL = {errno.ENOSPC, errno.EDQUOT}
FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


class _Lines:
    """Turns tqdm's redrawn bar into one line a refresh, in the log and on the terminal."""

    def write(self, text: str) -> None:
        line = text.strip("\r\n ")
        if line:
            print(line, file=sys.stderr, flush=True)
            print(line, file=_terminal, flush=True)

    def flush(self) -> None:
        pass


def run(main: Callable, job: Any) -> None:
    """Call ``main(job)`` with everything printed going to the job's log; exit 1 with a message if it fails.

    The garbage collector leaves out what imports made. It stays to the end, and walking through it, during the job and
    once more when the interpreter ends, takes up to a sixth of a short job's time.
    """
    gc.freeze()
    warnings.filterwarnings("ignore", category=FutureWarning)
    started = time.time()
    try:
        with open(job.log[0], "w", encoding="utf-8") as log, redirect_stdout(log), redirect_stderr(log):
            logging.basicConfig(stream=log, level=logging.INFO, format="%(asctime)s %(message)s", force=True)
            logging.info("%s %s, %s threads", job.rule, dict(job.wildcards), job.threads)
            try:
                main(job)
            except Exception as error:
                log.write(message_of(error, job) or traceback.format_exc())
                sys.exit(1)
            gc.freeze()  # main imports, too
            logging.info("finished in %.1f s", time.time() - started)
    except OSError as error:  # the log itself cannot be written
        sys.exit(message_of(error, job))


def message_of(error: BaseException, job: Any) -> str:
    """What a user can do about an error, as a line; empty for an error of the code, whose traceback is needed."""
    folder = Path(job.output[0]).parent
    if isinstance(error, DamagedFileError):
        made = [file for file in map(str, job.input) if is_of_run(file, job) and Path(file).is_dir()]
        return f"error: {error}" + "".join(f". This run made {file}: delete it and run again" for file in made) + "\n"
    if isinstance(error, RareNeuronsError):
        return f"error: {error}\n"
    if isinstance(error, MemoryError) or "OutOfMemoryError" in type(error).__name__ or "allocate memory" in str(error):
        return (
            f"error: {job.rule}: out of memory ({_first_line(error)}). Let fewer jobs run at a time (--cores), lower "
            "trace.batch_size, attention.batch_size, influence.memory_gib or rows.rows_per_condition, or take a larger "
            "machine, and run again\n"
        )
    number = system_error(error)
    if number in FULL:
        free = shutil.disk_usage(folder).free / 2**20
        return (
            f"error: {folder}: the disk is full or a quota is used up ({free:.1f} MiB free). Nothing of this job was "
            "kept. Make room, or move the run to a larger disk (snakemake --directory), and run again\n"
        )
    if number in FORBIDDEN:
        place = getattr(error, "filename", None) or folder
        return (
            f"error: {place}: {os.strerror(number)}. Nothing of this job was kept. Let this user read and write there, "
            "or run elsewhere (snakemake --directory), and run again\n"
        )
    return damaged_input(job)


READERS: dict[str, Callable] = {
    ".parquet": pd.read_parquet,
    ".csv": pd.read_csv,
    ".npy": np.load,
    ".npz": lambda file: dict(np.load(file)),
    ".safetensors": lambda file: read_arrays(file),
    ".json": lambda file: json.loads(Path(file).read_text(encoding="utf-8")),
}


def is_of_run(file: str, job: Any) -> bool:
    """Whether a file is one that this run made, in results/<run>/, where its logs are, too."""
    run_folder = str(job.log[0]).split("/logs/")[0]
    return file.startswith(f"{run_folder}/")


def damaged_input(job: Any) -> str:
    """The message about an input that this run made and that cannot be read; empty where all can be.

    Asked after an error: no job is whole without its inputs, so a damaged one is the cause.
    """
    for file in map(str, job.input):
        read = READERS.get(Path(file).suffix)
        if read is None or not is_of_run(file, job) or not Path(file).is_file():
            continue
        try:
            read(file)
        except MemoryError:
            continue
        except Exception as error:
            return f"error: {file}: cannot be read ({_first_line(error)}). This run made it: delete it and run again\n"
    return ""


def system_error(error: BaseException) -> int | None:
    """The operating system's number of an error; writers in other languages than Python keep it in their message."""
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"\(os error (\d+)\)", str(error))
    return int(found[1]) if found else None


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__


def announce(text: str) -> None:
    """Say something in the log and on the terminal."""
    print(text, file=_Lines())


BAR: dict[str, Any] = {"mininterval": PROGRESS_SECONDS, "delay": PROGRESS_SECONDS, "ascii": True, "ncols": 90}


def progress(description: str) -> Callable[[Collection], Iterable]:
    """Wrapper for a loop of known length that reports to the log and the terminal every ten seconds."""
    return lambda items: tqdm(items, desc=description, total=len(items), file=_Lines(), **BAR)


@contextmanager
def progress_of(description: str, total: int, unit: str) -> Iterator[Callable[[int], object]]:
    """Function that is called with the amount done since its last call; reports as :func:`progress` does."""
    with tqdm(total=total, desc=description, unit=f" {unit}", unit_scale=True, file=_Lines(), **BAR) as bar:
        yield bar.update


def generator(job: Any, computed: str) -> np.random.Generator:
    """Random generator of this job: the run's seed, the name of what is computed and the job's wildcards decide it.

    The rule's name has no part in it: a workflow that imports the rule under another name gets the same numbers.
    """
    others = [value for name, value in job.wildcards.items() if name != "measure"]  # the name says the measure
    return shared_generator(job, "/".join([computed, *map(str, others)]))


def shared_generator(job: Any, computed: str) -> np.random.Generator:
    """Random generator in the same state for all jobs that compute the same: the run's seed and that name decide it."""
    return np.random.default_rng([job.params.seed, zlib.crc32(computed.encode())])


def checkpoint_name(job: Any) -> CheckpointName:
    """Identity columns of the checkpoint this job is about."""
    return CheckpointName(job.wildcards.model, job.wildcards.checkpoint)


@contextmanager
def atomic(path: str) -> Iterator[str]:
    """Path to write to; it takes the place of ``path`` when the block ends, and vanishes if the block fails.

    No two jobs share such a path: one that outlived its Snakemake doesn't meet the one that was started in its place.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    try:
        yield str(partial)
        if target.is_dir() or partial.is_dir():
            remove(target)  # only a file is replaced by a file at once
        os.replace(partial, target)
    finally:
        remove(partial)


def remove(path: Path) -> None:
    """Delete a file or folder if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def read_array(path: str, name: str) -> np.ndarray:
    """One named array of a safetensors file; the others stay on disk."""
    from safetensors import safe_open

    with safe_open(path, framework="np") as arrays:
        return arrays.get_tensor(name)


def read_table(path: str) -> pd.DataFrame:
    """A table across models and checkpoints, from CSV; empty text is empty text, not NaN."""
    return with_empty_text(pd.read_csv(path))


def read_arrays(path: str) -> dict[str, np.ndarray]:
    """All arrays of a safetensors file."""
    from safetensors.numpy import load_file

    return load_file(path)


def write_parquet(frame: pd.DataFrame, path: str) -> None:
    """Write a table whole or not at all."""
    with atomic(path) as partial:
        frame.to_parquet(partial, index=False)


def write_csv(frame: pd.DataFrame, path: str) -> None:
    """Write a table whole or not at all, floats with all their digits."""
    with atomic(path) as partial:
        frame.to_csv(partial, index=False)


def write_text(text: str, path: str) -> None:
    """Write a text whole or not at all."""
    with atomic(path) as partial:
        Path(partial).write_text(text, encoding="utf-8")


def write_json(content: Mapping, path: str) -> None:
    """Write JSON whole or not at all."""
    write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", path)


def write_arrays(arrays: Mapping[str, np.ndarray], path: str) -> None:
    """Write named arrays as safetensors, whole or not at all."""
    from safetensors.numpy import save_file

    with atomic(path) as partial:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, partial)
