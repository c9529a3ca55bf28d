# Spectra of weights: a group's rows, and WeightWatcher on every matrix.


rule spectra:
    input:
        checkpoint=checkpoint_input,
        groups=in_run("{model}/{checkpoint}/groups.parquet"),
    output:
        in_run("{model}/{checkpoint}/spectra.parquet"),
    log:
        in_run("logs/spectra/{model}/{checkpoint}.log"),
    benchmark:
        in_run("benchmarks/spectra/{model}/{checkpoint}.tsv")
    params:
        folder=checkpoint_folder,
        code=code_of("spectra"),
    conda:
        "../../envs/rareneurons.yaml"
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
    params:
        folder=checkpoint_folder,
        code=code_of("weightwatcher_layers"),
    conda:
        "../../envs/rareneurons.yaml"
    script:
        "../../scripts/weightwatcher_layers.py"
