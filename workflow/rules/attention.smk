# Does attention route rare tokens to a group of neurons?


rule attention:
    input:
        checkpoint=checkpoint_input,
        blocks=rows_of_model("blocks.npz"),
        rows=rows_of_model("rows.parquet"),
        groups=in_run("{model}/{checkpoint}/groups.parquet"),
        controls=in_run("{model}/{checkpoint}/controls.parquet"),
    output:
        table=in_run("{model}/{checkpoint}/attention.parquet"),
        heads=in_run("{model}/{checkpoint}/heads.parquet"),
    log:
        in_run("logs/attention/{model}/{checkpoint}.log"),
    benchmark:
        in_run("benchmarks/attention/{model}/{checkpoint}.tsv")
    priority: 5
    conda:
        "../../envs/rareneurons.yaml"
    threads: threads("attention")
    resources:
        **needs("attention"),
        weights=checkpoint_slot,
        gpu=accelerators(),
    params:
        folder=checkpoint_folder,
        dates=checkpoint_dates,
        documents=config["attention"]["documents"],
        settings=without(config["attention"], "documents"),
        conditions=CONDITION_PAIR,
        seed=config["seed"],
        device=config["device"],
        device_map=config["device_map"],
        code=code_of("attention"),
    script:
        address("../../scripts/attention.py")
