# The run compared with the paper's numbers, and with itself under the authors' choices.


rule paper_comparison:
    input:
        tables=expand(
            in_run("tables/{table}.csv"),
            table=["regimes", "coordination", "organization"],
        ),
        by_document=every_checkpoint("influence_by_document.safetensors"),
    output:
        table_in_report("paper_comparison"),
    log:
        in_run("logs/paper_comparison.log"),
    benchmark:
        in_run("benchmarks/paper_comparison.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("paper_comparison"),
    params:
        presets={
            entry["preset"]: entry["name"]
            for entry in config["rows"]["conditions"]
            if "preset" in entry
        },
        pair=CONDITION_PAIR,
        bootstrap=config["regimes"]["bootstrap"],
        seed=config["seed"],
        code=code_of("paper_comparison"),
    script:
        address("../../scripts/paper_comparison.py")


rule choice_measures:
    input:
        trace=in_run("{model}/{checkpoint}/trace.safetensors"),
        last_layer=in_run("{model}/{checkpoint}/last_layer.safetensors"),
        rows=rows_of_model("rows.parquet"),
        influence=in_run("{model}/{checkpoint}/influence.parquet"),
        by_document=in_run("{model}/{checkpoint}/influence_by_document.safetensors"),
        groups=in_run("{model}/{checkpoint}/groups.parquet"),
        controls=in_run("{model}/{checkpoint}/controls.parquet"),
    output:
        in_run("{model}/{checkpoint}/choices.parquet"),
    log:
        in_run("logs/choice_measures/{model}/{checkpoint}.log"),
    benchmark:
        in_run("benchmarks/choice_measures/{model}/{checkpoint}.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("choice_measures"),
    params:
        pair=CONDITION_PAIR,
        conditions=config["rows"]["conditions"],
        regimes=config["regimes"],
        controls=config["groups"]["controls"],
        bootstrap=config["coordination"]["bootstrap"],
        organization=config["organization"],
        seed=config["seed"],
        code=code_of("choice_measures"),
    script:
        address("../../scripts/choice_measures.py")


rule choices:
    input:
        tables=expand(in_run("tables/{table}.csv"), table=CLAIM_TABLES),
        measured=last_checkpoints("choices.parquet"),
        draws=every_checkpoint("spectra_draws.parquet"),
    output:
        csv=in_run("tables/choices.csv"),
        markdown=in_run("choices.md"),
    log:
        in_run("logs/choices.log"),
    benchmark:
        in_run("benchmarks/choices.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        pair=CONDITION_PAIR,
        conditions=config["rows"]["conditions"],
        bounds=CLAIM_BOUNDS,
        seed=config["seed"],
        code=code_of("choices"),
    script:
        address("../../scripts/choices.py")


rule firmness_measures:
    input:
        unpack(untrained_trace),
        trace=in_run("{model}/{checkpoint}/trace.safetensors"),
        last_layer=in_run("{model}/{checkpoint}/last_layer.safetensors"),
        rows=rows_of_model("rows.parquet"),
    output:
        in_run("{model}/{checkpoint}/firmness.parquet"),
    log:
        in_run("logs/firmness_measures/{model}/{checkpoint}.log"),
    benchmark:
        in_run("benchmarks/firmness_measures/{model}/{checkpoint}.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: threads("firmness_measures")
    resources:
        **needs("firmness_measures"),
        gpu=accelerators(),
    params:
        firmness=config["firmness"],
        pair=CONDITION_PAIR,
        untrained=untrained_checkpoint,
        rows={name: config["rows"][name] for name in ("conditions", "discovery_share")},
        influence=config["influence"],
        regimes=config["regimes"],
        groups={name: config["groups"][name] for name in ("controls", "shuffles")},
        joint=config["joint"],
        coordination=config["coordination"],
        organization=config["organization"],
        device=config["device"],
        seed=config["seed"],
        code=code_of("firmness_measures"),
    script:
        address("../../scripts/firmness_measures.py")


rule firmness:
    input:
        tables=expand(in_run("tables/{table}.csv"), table=CLAIM_TABLES),
        measured=last_checkpoints("firmness.parquet"),
    output:
        table_in_report("firmness"),
    log:
        in_run("logs/firmness.log"),
    benchmark:
        in_run("benchmarks/firmness.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        firmness=config["firmness"],
        pair=CONDITION_PAIR,
        reference=config["influence"]["reference"],
        conditions=config["rows"]["conditions"],
        bounds=CLAIM_BOUNDS,
        code=code_of("firmness"),
    script:
        address("../../scripts/firmness.py")
