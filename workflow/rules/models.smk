# Checkpoints: trained here, or fetched from the hub. Local folders are used where they are.


localrules:
    fetch_checkpoint,


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
    wildcard_constraints:
        model=one_of(TRAINED),
    benchmark:
        in_run("benchmarks/train_model/{model}.tsv")
    # Training is the long pole of a run on this machine: start it first.
    priority: 10
    params:
        model=lambda wildcards: without(MODELS[wildcards.model], "checkpoints"),
        seed=config["seed"],
        device=config["device"],
        code=code_of("train_model"),
    conda:
        "../../envs/rareneurons.yaml"
    script:
        "../../scripts/train_model.py"


rule fetch_checkpoint:
    output:
        folder=(
            directory(in_run("{model}/{checkpoint}/weights"))
            if config["keep"]["weights"]
            else temp(directory(in_run("{model}/{checkpoint}/weights")))
        ),
        manifest=in_run("{model}/{checkpoint}/weights.json"),
    log:
        in_run("logs/fetch_checkpoint/{model}/{checkpoint}.log"),
    wildcard_constraints:
        model=one_of(named(MODELS, "hub")),
    benchmark:
        in_run("benchmarks/fetch_checkpoint/{model}/{checkpoint}.tsv")
    params:
        repository=lambda wildcards: MODELS[wildcards.model]["repository"],
        code=code_of("fetch_checkpoint"),
    conda:
        "../../envs/rareneurons.yaml"
    script:
        "../../scripts/fetch_checkpoint.py"
