# One forward pass a checkpoint.


rule trace:
    input:
        checkpoint=checkpoint_input,
        blocks=rows_of_model("blocks.npz"),
        rows=rows_of_model("rows.parquet"),
    output:
        (
            in_run("{model}/{checkpoint}/trace.safetensors")
            if config["keep"]["traces"]
            else temp(in_run("{model}/{checkpoint}/trace.safetensors"))
        ),
    log:
        in_run("logs/trace/{model}/{checkpoint}.log"),
    benchmark:
        in_run("benchmarks/trace/{model}/{checkpoint}.tsv")
    params:
        folder=checkpoint_folder,
        batch_size=config["trace"]["batch_size"],
        device=config["device"],
        code=code_of("trace"),
    conda:
        "../../envs/rareneurons.yaml"
    script:
        "../../scripts/trace.py"
