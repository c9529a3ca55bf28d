# Do a group's neurons form communities?


rule organization:
    input:
        trace=in_run("{model}/{checkpoint}/trace.safetensors"),
        rows=rows_of_model("rows.parquet"),
        groups=in_run("{model}/{checkpoint}/groups.parquet"),
        controls=in_run("{model}/{checkpoint}/controls.parquet"),
    output:
        in_run("{model}/{checkpoint}/organization.parquet"),
    log:
        in_run("logs/organization/{model}/{checkpoint}.log"),
    benchmark:
        in_run("benchmarks/organization/{model}/{checkpoint}.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    params:
        conditions=CONDITION_PAIR,
        seed=config["seed"],
        code=code_of("organization"),
    script:
        "../../scripts/organization.py"
