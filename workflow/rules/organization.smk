# Do a group's neurons form communities?


rule organization:
    input:
        trace=in_run("{model}/{checkpoint}/trace.safetensors"),
        last_layer=in_run("{model}/{checkpoint}/last_layer.safetensors"),
        rows=rows_of_model("rows.parquet"),
        groups=in_run("{model}/{checkpoint}/groups.parquet"),
        controls=in_run("{model}/{checkpoint}/controls.parquet"),
    output:
        table=in_run("{model}/{checkpoint}/organization.parquet"),
        pictures=in_run("{model}/{checkpoint}/communities.safetensors"),
    log:
        in_run("logs/organization/{model}/{checkpoint}.log"),
    benchmark:
        in_run("benchmarks/organization/{model}/{checkpoint}.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("organization"),
    params:
        conditions=CONDITION_PAIR,
        settings=config["organization"],
        seed=config["seed"],
        code=code_of("organization"),
    script:
        address("../../scripts/organization.py")
