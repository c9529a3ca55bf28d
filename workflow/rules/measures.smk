# Measures of a checkpoint's groups on held-out rows: src/rareneurons/planning/tables.py says which function computes each.


rule measure:
    input:
        unpack(tracked_backwards("groups.parquet", "controls.parquet")),
        trace=in_run("{model}/{checkpoint}/trace.safetensors"),
        last_layer=in_run("{model}/{checkpoint}/last_layer.safetensors"),
        rows=rows_of_model("rows.parquet"),
        groups=in_run("{model}/{checkpoint}/groups.parquet"),
        controls=in_run("{model}/{checkpoint}/controls.parquet"),
    output:
        table=in_run("{model}/{checkpoint}/{measure}.parquet"),
        draws=in_run("{model}/{checkpoint}/{measure}_draws.parquet"),
    log:
        in_run("logs/{measure}/{model}/{checkpoint}.log"),
    benchmark:
        in_run("benchmarks/{measure}/{model}/{checkpoint}.tsv")
    wildcard_constraints:
        measure=one_of(MEASURE_FUNCTIONS),
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs_of_measure(),
    params:
        function=lambda wildcards: MEASURE_FUNCTIONS[wildcards.measure].function,
        settings=lambda wildcards: MEASURE_FUNCTIONS[wildcards.measure].settings(config),
        bootstrap=lambda wildcards: MEASURE_FUNCTIONS[wildcards.measure].bootstrap(
            config
        ),
        conditions=CONDITION_PAIR,
        seed=config["seed"],
        code=lambda wildcards: code_of(
            "measure", MEASURE_FUNCTIONS[wildcards.measure].module
        ),
    script:
        address("../../scripts/measure.py")
