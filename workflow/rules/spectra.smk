# Spectra of weights: a group's rows, and WeightWatcher on every matrix.


rule spectra:
    input:
        unpack(
            tracked_backwards(
                "groups.parquet",
                "controls.parquet",
                "influence_by_document.safetensors",
            )
        ),
        last_layer=in_run("{model}/{checkpoint}/last_layer.safetensors"),
        groups=in_run("{model}/{checkpoint}/groups.parquet"),
        controls=in_run("{model}/{checkpoint}/controls.parquet"),
        by_document=in_run("{model}/{checkpoint}/influence_by_document.safetensors"),
    output:
        table=in_run("{model}/{checkpoint}/spectra.parquet"),
        draws=in_run("{model}/{checkpoint}/spectra_draws.parquet"),
        hill=in_run("{model}/{checkpoint}/hill_plot.parquet"),
    log:
        in_run("logs/spectra/{model}/{checkpoint}.log"),
    benchmark:
        in_run("benchmarks/spectra/{model}/{checkpoint}.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("spectra"),
    params:
        draws=config["spectra"]["draws"],
        conditions=CONDITION_PAIR,
        seed=config["seed"],
        code=code_of("spectra"),
    script:
        address("../../scripts/spectra.py")


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
    threads: 1
    resources:
        **needs("weightwatcher"),
        weights=checkpoint_slot,
    params:
        folder=checkpoint_folder,
        dates=checkpoint_dates,
        seed=config["seed"],
        code=code_of("weightwatcher_layers"),
    script:
        address("../../scripts/weightwatcher_layers.py")
