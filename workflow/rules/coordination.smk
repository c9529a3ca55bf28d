# Do a group's neurons act together?


rule coordination:
    input:
        trace=in_run("{model}/{checkpoint}/trace.safetensors"),
        rows=rows_of_model("rows.parquet"),
        groups=in_run("{model}/{checkpoint}/groups.parquet"),
        controls=in_run("{model}/{checkpoint}/controls.parquet"),
    output:
        in_run("{model}/{checkpoint}/coordination.parquet"),
    log:
        in_run("logs/coordination/{model}/{checkpoint}.log"),
    benchmark:
        in_run("benchmarks/coordination/{model}/{checkpoint}.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    params:
        bootstrap=config["coordination"]["bootstrap"],
        conditions=CONDITION_PAIR,
        seed=config["seed"],
        code=code_of("coordination"),
    script:
        "../../scripts/coordination.py"
