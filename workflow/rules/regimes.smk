# Shape of the rank-influence curve, and the neuron groups it defines.


rule regimes:
    input:
        by_document=in_run("{model}/{checkpoint}/influence_by_document.safetensors"),
    output:
        table=in_run("{model}/{checkpoint}/regimes.parquet"),
        bands=in_run("{model}/{checkpoint}/no_plateau_bands.parquet"),
        draws=in_run("{model}/{checkpoint}/regime_draws.parquet"),
    log:
        in_run("logs/regimes/{model}/{checkpoint}.log"),
    benchmark:
        in_run("benchmarks/regimes/{model}/{checkpoint}.tsv")
    priority: 5
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("regimes"),
        weights=checkpoint_slot,
    params:
        regimes=config["regimes"],
        power_wanted=wanted_power,
        pair=CONDITION_PAIR,
        seed=config["seed"],
        code=code_of("regimes"),
    script:
        address("../../scripts/regimes.py")


rule groups:
    input:
        influence=in_run("{model}/{checkpoint}/influence.parquet"),
        neurons=in_run("{model}/{checkpoint}/neurons.parquet"),
        label_shuffles=in_run("{model}/{checkpoint}/label_shuffles.safetensors"),
        trace=in_run("{model}/{checkpoint}/trace.safetensors"),
        last_layer=in_run("{model}/{checkpoint}/last_layer.safetensors"),
        rows=rows_of_model("rows.parquet"),
    output:
        groups=in_run("{model}/{checkpoint}/groups.parquet"),
        controls=in_run("{model}/{checkpoint}/controls.parquet"),
        match=in_run("{model}/{checkpoint}/group_match.parquet"),
    log:
        in_run("logs/groups/{model}/{checkpoint}.log"),
    benchmark:
        in_run("benchmarks/groups/{model}/{checkpoint}.tsv")
    priority: 5
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("groups"),
        weights=checkpoint_slot,
    params:
        cuts=config["regimes"]["cuts"],
        condition=config["groups"]["condition"],
        controls=config["groups"]["controls"],
        seed=config["seed"],
        code=code_of("groups"),
    script:
        address("../../scripts/groups.py")


rule neuron_types:
    input:
        neurons=in_run("{model}/{checkpoint}/neurons.parquet"),
        groups=in_run("{model}/{checkpoint}/groups.parquet"),
        controls=in_run("{model}/{checkpoint}/controls.parquet"),
    output:
        table=in_run("{model}/{checkpoint}/neuron_types.parquet"),
    log:
        in_run("logs/neuron_types/{model}/{checkpoint}.log"),
    benchmark:
        in_run("benchmarks/neuron_types/{model}/{checkpoint}.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        conditions=CONDITION_PAIR,
        seed=config["seed"],
        code=code_of("neuron_types"),
    script:
        address("../../scripts/neuron_types.py")
