# Effect of ablating every neuron of the last MLP, and the properties of every neuron.


rule influence:
    input:
        last_layer=in_run("{model}/{checkpoint}/last_layer.safetensors"),
        trace=in_run("{model}/{checkpoint}/trace.safetensors"),
        rows=rows_of_model("rows.parquet"),
        frequencies=rows_of_model("frequencies.parquet"),
        counts=lambda wildcards: counts_file(MODELS[wildcards.model]["tokenizer"]),
    output:
        table=in_run("{model}/{checkpoint}/influence.parquet"),
        neurons=in_run("{model}/{checkpoint}/neurons.parquet"),
        by_document=in_run("{model}/{checkpoint}/influence_by_document.safetensors"),
        label_shuffles=in_run("{model}/{checkpoint}/label_shuffles.safetensors"),
    log:
        in_run("logs/influence/{model}/{checkpoint}.log"),
    benchmark:
        in_run("benchmarks/influence/{model}/{checkpoint}.tsv")
    priority: 5
    conda:
        "../../envs/rareneurons.yaml"
    threads: threads("influence")
    resources:
        **needs("influence"),
        weights=checkpoint_slot,
        gpu=accelerators(),
    params:
        influence=config["influence"],
        conditions=CONDITION_PAIR,
        shuffles=config["groups"]["shuffles"],
        device=config["device"],
        seed=config["seed"],
        code=code_of("influence"),
    script:
        address("../../scripts/influence.py")
