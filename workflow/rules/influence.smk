# Effect of ablating every neuron of the last MLP.


rule influence:
    input:
        checkpoint=checkpoint_input,
        trace=in_run("{model}/{checkpoint}/trace.safetensors"),
        rows=rows_of_model("rows.parquet"),
    output:
        table=in_run("{model}/{checkpoint}/influence.parquet"),
        by_document=in_run("{model}/{checkpoint}/influence_by_document.safetensors"),
    log:
        in_run("logs/influence/{model}/{checkpoint}.log"),
    benchmark:
        in_run("benchmarks/influence/{model}/{checkpoint}.tsv")
    params:
        folder=checkpoint_folder,
        influence=config["influence"],
        device=config["device"],
        code=code_of("influence"),
    conda:
        "../../envs/rareneurons.yaml"
    script:
        "../../scripts/influence.py"
