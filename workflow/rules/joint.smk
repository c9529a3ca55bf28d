# All neurons of a group ablated at once, and the clean loss by token frequency.


rule joint:
    input:
        unpack(tracked_backwards("groups.parquet", "controls.parquet")),
        last_layer=in_run("{model}/{checkpoint}/last_layer.safetensors"),
        trace=in_run("{model}/{checkpoint}/trace.safetensors"),
        rows=rows_of_model("rows.parquet"),
        frequencies=rows_of_model("frequencies.parquet"),
        influence=in_run("{model}/{checkpoint}/influence.parquet"),
        groups=in_run("{model}/{checkpoint}/groups.parquet"),
        controls=in_run("{model}/{checkpoint}/controls.parquet"),
    output:
        table=in_run("{model}/{checkpoint}/joint.parquet"),
        draws=in_run("{model}/{checkpoint}/joint_draws.parquet"),
        loss_by_frequency=in_run("{model}/{checkpoint}/loss_by_frequency.parquet"),
    log:
        in_run("logs/joint/{model}/{checkpoint}.log"),
    benchmark:
        in_run("benchmarks/joint/{model}/{checkpoint}.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: threads("joint")
    resources:
        **needs("joint"),
        gpu=accelerators(),
    params:
        joint=config["joint"],
        influence=config["influence"],
        device=config["device"],
        conditions=CONDITION_PAIR,
        seed=config["seed"],
        code=code_of("joint"),
    script:
        address("../../scripts/joint.py")
