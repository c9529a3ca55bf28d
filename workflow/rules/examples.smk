# What the neurons of the groups do in which texts, at each model's last checkpoint.


rule top_examples:
    input:
        checkpoint=checkpoint_input,
        tokenizer=lambda wildcards: tokenizer_input(tokenizer_of(wildcards)),
        blocks=rows_of_model("blocks.npz"),
        rows=rows_of_model("rows.parquet"),
        trace=in_run("{model}/{checkpoint}/trace.safetensors"),
        last_layer=in_run("{model}/{checkpoint}/last_layer.safetensors"),
        groups=in_run("{model}/{checkpoint}/groups.parquet"),
    output:
        examples=in_run("{model}/{checkpoint}/top_examples.parquet"),
        tokens=in_run("{model}/{checkpoint}/token_effects.parquet"),
    log:
        in_run("logs/top_examples/{model}/{checkpoint}.log"),
    benchmark:
        in_run("benchmarks/top_examples/{model}/{checkpoint}.tsv")
    priority: 5
    conda:
        "../../envs/rareneurons.yaml"
    threads: threads("top_examples")
    resources:
        **needs("top_examples"),
        weights=checkpoint_slot,
        gpu=accelerators(),
    params:
        folder=checkpoint_folder,
        dates=checkpoint_dates,
        tokenizer=tokenizer_folder,
        files=lambda wildcards: states_of_own_files(tokenizer=tokenizer_of(wildcards)),
        influence=without(config["influence"], "effect", "document_blocks"),
        condition=CONDITION_PAIR[0],
        batch_size=config["trace"]["batch_size"],
        device=config["device"],
        device_map=config["device_map"],
        code=code_of("top_examples"),
    script:
        address("../../scripts/top_examples.py")
