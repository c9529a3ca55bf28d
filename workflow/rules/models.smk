# Checkpoints: trained by the workflow, fetched from the hub, or unpacked from a GGUF file. Local folders are used in place.


rule train_model:
    input:
        stream=lambda wildcards: in_run(
            f"inputs/counts/{MODELS[wildcards.model]['tokenizer']}/stream.npy"
        ),
        counts=lambda wildcards: in_run(
            f"inputs/counts/{MODELS[wildcards.model]['tokenizer']}/counts.npy"
        ),
    output:
        checkpoints=directory(in_run("{model}/training")),
        loss=in_run("{model}/training_loss.csv"),
    log:
        in_run("logs/train_model/{model}.log"),
    benchmark:
        in_run("benchmarks/train_model/{model}.tsv")
    wildcard_constraints:
        model=one_of(TRAINED),
    # Training takes longest when the run is on one machine, so it starts first.
    priority: 30
    conda:
        "../../envs/rareneurons.yaml"
    threads: threads("train_model")
    resources:
        **needs("train_model"),
        gpu=accelerators(),
    params:
        model=lambda wildcards: without(
            MODELS[wildcards.model], "checkpoints", "replicate_of"
        ),
        seed=lambda wildcards: MODELS[wildcards.model].get("seed", config["seed"]),
        device=config["device"],
        code=code_of("train_model"),
    script:
        address("../../scripts/train_model.py")


rule fetch_checkpoint:
    input:
        listing=in_run("{model}/{checkpoint}/hub_files.json"),
        # No other job may make a fetched checkpoint wait: see checkpoint_slot.
        rows=rows_of_model("rows.parquet"),
    output:
        folder=(
            directory(in_run("{model}/{checkpoint}/weights"))
            if config["keep"]["weights"]
            else temp(directory(in_run("{model}/{checkpoint}/weights")))
        ),
    log:
        in_run("logs/fetch_checkpoint/{model}/{checkpoint}.log"),
    benchmark:
        in_run("benchmarks/fetch_checkpoint/{model}/{checkpoint}.tsv")
    wildcard_constraints:
        model=one_of(named(MODELS, "hub")),
    retries: 2
    localrule: True
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
        weights=checkpoint_slot,
    params:
        block_length=config["rows"]["block_length"],
        code=code_of("fetch_checkpoint"),
    script:
        address("../../scripts/fetch_checkpoint.py")


rule unpack_gguf:
    input:
        file=lambda wildcards: own(MODELS[wildcards.model]["file"]),
    output:
        folder=directory(in_run("inputs/gguf/{model}")),
    log:
        in_run("logs/unpack_gguf/{model}.log"),
    benchmark:
        in_run("benchmarks/unpack_gguf/{model}.tsv")
    wildcard_constraints:
        model=one_of(named(MODELS, "gguf")),
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("unpack_gguf"),
    params:
        states=lambda wildcards, input: own_files.states_of([input.file]),
        block_length=config["rows"]["block_length"],
        code=code_of("unpack_gguf"),
    script:
        address("../../scripts/unpack_gguf.py")
