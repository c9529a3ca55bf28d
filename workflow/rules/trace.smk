# One forward pass per checkpoint.


rule trace:
    input:
        checkpoint=checkpoint_input,
        blocks=rows_of_model("blocks.npz"),
        rows=rows_of_model("rows.parquet"),
    output:
        trace=trace_file("trace.safetensors"),
        last_layer=trace_file("last_layer.safetensors"),
        provenance=in_run("{model}/{checkpoint}/provenance.json"),
    log:
        in_run("logs/trace/{model}/{checkpoint}.log"),
    benchmark:
        in_run("benchmarks/trace/{model}/{checkpoint}.tsv")
    priority: 5
    conda:
        "../../envs/rareneurons.yaml"
    threads: threads("trace")
    resources:
        **needs("trace"),
        weights=checkpoint_slot,
        gpu=accelerators(),
    params:
        folder=checkpoint_folder,
        dates=checkpoint_dates,
        batch_size=config["trace"]["batch_size"],
        device=config["device"],
        device_map=config["device_map"],
        code=code_of("trace"),
    script:
        address("../../scripts/trace.py")
