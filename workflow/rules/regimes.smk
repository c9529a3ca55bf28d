# Shape of the rank-influence curve, and the neuron groups it defines.


rule regimes:
    input:
        by_document=in_run("{model}/{checkpoint}/influence_by_document.safetensors"),
    output:
        in_run("{model}/{checkpoint}/regimes.parquet"),
    log:
        in_run("logs/regimes/{model}/{checkpoint}.log"),
    benchmark:
        in_run("benchmarks/regimes/{model}/{checkpoint}.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    params:
        cuts=config["regimes"]["cuts"],
        bootstrap=config["regimes"]["bootstrap"],
        seed=config["seed"],
        code=code_of("regimes"),
    script:
        "../../scripts/regimes.py"


rule groups:
    input:
        influence=in_run("{model}/{checkpoint}/influence.parquet"),
    output:
        in_run("{model}/{checkpoint}/groups.parquet"),
    log:
        in_run("logs/groups/{model}/{checkpoint}.log"),
    benchmark:
        in_run("benchmarks/groups/{model}/{checkpoint}.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    params:
        cuts=config["regimes"]["cuts"],
        condition=config["groups"]["condition"],
        controls=config["groups"]["controls"],
        seed=config["seed"],
        code=code_of("groups"),
    script:
        "../../scripts/groups.py"
