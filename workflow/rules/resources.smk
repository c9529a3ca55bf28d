# Threads, memory and time of every job, by src/rareneurons/planning; functions only.
#
# `attempt` counts the starts that the profile's `retries` allow: killed for its memory, a job asks for twice, then three
# times as much.
from rareneurons.planning import resources as job_resources


def threads(stage):
    """Input function of `threads`: more than one only where each has minutes to compute."""
    return lambda wildcards, input: requested(stage, wildcards, input).threads


def needs(stage):
    """The resources `mem_mb` and `runtime` (minutes) of a rule."""
    return needs_by(lambda wildcards: stage)


def needs_of_measure():
    """The same by the measure's own formula, or by the one of small jobs where it has none."""
    return needs_by(lambda wildcards: job_resources.stage_of(wildcards.measure))


def needs_by(stage_of):
    def mem_mb(wildcards, input, attempt):
        return requested(stage_of(wildcards), wildcards, input, attempt).mem_mb

    def runtime(wildcards, input, attempt):
        return requested(stage_of(wildcards), wildcards, input, attempt).runtime

    return {"mem_mb": mem_mb, "runtime": runtime}


def requested(stage, wildcards, input, attempt=1):
    sizes = sizes_of(wildcards, input)
    return job_resources.request(stage, sizes, config, attempt, bool(accelerators()))


def sizes_of(wildcards, input):
    """Sizes of a job's inputs, and of the model or the last layer among them."""
    names = dict(input.items())
    if "checkpoint" in names:
        return job_resources.sizes_of_checkpoint(
            input, checkpoint_folder(wildcards, input), names.get("last_layer")
        )
    if "last_layer" in names:
        return job_resources.sizes_of_last_layer(
            input, names["last_layer"], names.get("trace")
        )
    if "stream" in names:
        model = MODELS[wildcards.model]
        return job_resources.sizes_of_training(
            input, model, TOKENIZERS[model["tokenizer"]]
        )
    return job_resources.sizes_of_files(input)


def accelerators():
    """Number of `gpu` that a job on the configured device requests; a profile may set its own."""
    return job_resources.accelerators(config["device"])


def checkpoint_slot(wildcards):
    """How much of the resource `weights` a job takes that needs a fetched checkpoint."""
    return job_resources.weights_slots(MODELS[wildcards.model], config["keep"])
