# Threads, memory and time of every job, by the formulas in src/rareneurons/costs.py; functions only.
#
# Sizes are read when a job's inputs are there, just before it starts. Until then (in a plan, or for a job whose input
# another job of its group makes) what is not there counts as nothing. `attempt` counts the starts that the profile's
# `retries` allow: killed for its memory, a job asks for twice, then three times as much.
import json

from rareneurons import costs
from rareneurons.models import config_file


def threads(stage):
    """Input function of `threads`: more than one only where each has minutes to compute."""
    return lambda wildcards, input: requested(stage, wildcards, input).threads


def needs(stage):
    """The resources `mem_mb` and `runtime` (minutes) of a rule."""

    def mem_mb(wildcards, input, attempt):
        return requested(stage, wildcards, input, attempt).mem_mb

    def runtime(wildcards, input, attempt):
        return requested(stage, wildcards, input, attempt).runtime

    return {"mem_mb": mem_mb, "runtime": runtime}


def requested(stage, wildcards, input, attempt=1):
    cost = costs.ESTIMATES[stage](sizes_of(wildcards, input), config)
    return costs.request(cost, attempt, bool(accelerators()))


def sizes_of(wildcards, input):
    """Sizes of a job's inputs, and of the model or the last layer among them."""
    named = dict(input.items())
    input_mb = sum(map(bytes_of, input)) / costs.MB
    if "checkpoint" in named:
        folder = checkpoint_folder(wildcards)
        files = folders.checkpoint_files(folder)
        weights = [file for file in files if not file.endswith(".json")]
        weights_mb = sum(map(bytes_of, weights)) / costs.MB
        shape = costs.shape_of(config_file.config_if_readable(folder))
        return costs.Sizes(input_mb, weights_mb, shape)
    if "last_layer" in named:
        shape = costs.shape_of_arrays(array_shapes(named["last_layer"]))
        n_rows = array_shapes(named.get("trace", "")).get("activation", [0])[0]
        return costs.Sizes(input_mb, 0, shape, n_rows)
    if "stream" in named:
        entry = MODELS[wildcards.model]
        vocabulary = TOKENIZERS[entry["tokenizer"]].get("vocabulary_size", 0)
        return costs.sizes_of_training(entry, vocabulary, input_mb)
    return costs.Sizes(input_mb)


def bytes_of(path):
    """Of a file, or of all files in a folder; 0 where there is none."""
    if os.path.isdir(path):
        return sum(map(bytes_of, (entry.path for entry in os.scandir(path))))
    return os.path.getsize(path) if os.path.exists(path) else 0


def array_shapes(path):
    """Name -> shape of a safetensors file's arrays, by its header; nothing where there is none, or a damaged one."""
    try:
        with open(path, "rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return {
            name: entry["shape"]
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (
        Exception
    ):  # whatever it is: a plan goes on without, and the job that reads the file names it
        return {}
