# Threads, memory and time of every job, by the formulas in src/rareneurons/costs.py. This file holds functions only.
#
# Sizes are read when a job's inputs exist, just before it starts. Until then (in a plan, or if another job of the group
# makes the input) a missing file counts as size 0. `attempt` counts the starts that the profile's `retries` allow: a job
# that was killed for its memory requests two, then three times as much.
import json

from rareneurons import costs


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
        folder = Path(checkpoint_folder(wildcards))
        weights_mb = sum(map(bytes_of, weight_paths(folder))) / costs.MB
        shape = costs.shape_of(json_of(folder / "config.json"))
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


def weight_paths(folder):
    """Files that hold a checkpoint's weights: safetensors or, without those, .bin."""
    return list(folder.glob("model*.safetensors")) or list(
        folder.glob("pytorch_model*.bin")
    )


def json_of(path):
    """What a JSON file says; nothing where it is not there or is none, which the job itself reports."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def array_shapes(path):
    """Name -> shape of a safetensors file's arrays, by its header; nothing where there is none."""
    try:
        with open(path, "rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    except (OSError, ValueError, OverflowError, MemoryError):
        return {}
    return {
        name: entry["shape"] for name, entry in header.items() if name != "__metadata__"
    }
