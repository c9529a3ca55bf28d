# Effect of ablating neurons below the last layer. This file is included only if other_layers.layers names some.


rule other_layers:
    input:
        checkpoint=checkpoint_input,
        blocks=rows_of_model("blocks.npz"),
        rows=rows_of_model("rows.parquet"),
    output:
        influence=in_run("{model}/{checkpoint}/other_layers.parquet"),
        screening=in_run("{model}/{checkpoint}/screening.parquet"),
    log:
        in_run("logs/other_layers/{model}/{checkpoint}.log"),
    benchmark:
        in_run("benchmarks/other_layers/{model}/{checkpoint}.tsv")
    priority: 5
    conda:
        "../../envs/rareneurons.yaml"
    threads: threads("other_layers")
    resources:
        **needs("other_layers"),
        weights=checkpoint_slot,
        gpu=accelerators(),
    params:
        folder=checkpoint_folder,
        dates=checkpoint_dates,
        other_layers=config["other_layers"],
        reference=config["influence"]["reference"],
        seed=config["seed"],
        device=config["device"],
        code=code_of("other_layers"),
    script:
        address("../../scripts/other_layers.py")
