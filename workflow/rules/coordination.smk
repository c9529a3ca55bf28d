# Do a group's neurons act together?


rule coordination:
    input:
        unpack(followed_back("groups.parquet", "controls.parquet")),
        trace=in_run("{model}/{checkpoint}/trace.safetensors"),
        last_layer=in_run("{model}/{checkpoint}/last_layer.safetensors"),
        rows=rows_of_model("rows.parquet"),
        groups=in_run("{model}/{checkpoint}/groups.parquet"),
        controls=in_run("{model}/{checkpoint}/controls.parquet"),
    output:
        table=in_run("{model}/{checkpoint}/coordination.parquet"),
        draws=in_run("{model}/{checkpoint}/coordination_draws.parquet"),
    log:
        in_run("logs/coordination/{model}/{checkpoint}.log"),
    benchmark:
        in_run("benchmarks/coordination/{model}/{checkpoint}.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("coordination"),
    params:
        bootstrap=config["coordination"]["bootstrap"],
        conditions=CONDITION_PAIR,
        seed=config["seed"],
        code=code_of("coordination"),
    script:
        "../../scripts/coordination.py"
