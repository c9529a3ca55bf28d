# Spectra of weights: a group's rows, and WeightWatcher on every matrix.


rule spectra:
    input:
        last_layer=in_run("{model}/{checkpoint}/last_layer.safetensors"),
        groups=in_run("{model}/{checkpoint}/groups.parquet"),
        controls=in_run("{model}/{checkpoint}/controls.parquet"),
    output:
        in_run("{model}/{checkpoint}/spectra.parquet"),
    log:
        in_run("logs/spectra/{model}/{checkpoint}.log"),
    benchmark:
        in_run("benchmarks/spectra/{model}/{checkpoint}.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    params:
        draws=config["spectra"]["draws"],
        seed=config["seed"],
        code=code_of("spectra"),
    script:
        "../../scripts/spectra.py"


rule weightwatcher:
    input:
        checkpoint=checkpoint_input,
    output:
        in_run("{model}/{checkpoint}/weightwatcher.parquet"),
    log:
        in_run("logs/weightwatcher/{model}/{checkpoint}.log"),
    benchmark:
        in_run("benchmarks/weightwatcher/{model}/{checkpoint}.tsv")
    priority: 5
    conda:
        "../../envs/rareneurons.yaml"
    resources:
        weights=checkpoint_slot,
    params:
        folder=checkpoint_folder,
        code=code_of("weightwatcher_layers"),
    script:
        "../../scripts/weightwatcher_layers.py"
