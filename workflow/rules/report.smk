# The pages that people open: one page of neurons per model, and the report of the run.


rule neuron_pages:
    input:
        influence=every_checkpoint("influence.parquet"),
        neurons=every_checkpoint("neurons.parquet"),
        groups=every_checkpoint("groups.parquet"),
        types=[
            in_run(f"inputs/rows/{entry['tokenizer']}/frequencies.parquet")
            for entry in MODELS.values()
        ],
    output:
        neuron_pages(),
    log:
        in_run("logs/neuron_pages.log"),
    benchmark:
        in_run("benchmarks/neuron_pages.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        conditions=CONDITION_PAIR,
        models=list(MODELS),
        code=code_of("neuron_pages"),
    script:
        address("../../scripts/neuron_pages.py")


rule report:
    input:
        claims=in_run("claims.csv"),
        tables=tables(),
        figures=[file for file in figures() if file.endswith(".png")],
    output:
        in_run("report.html"),
    log:
        in_run("logs/report.log"),
    benchmark:
        in_run("benchmarks/report.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        config=config,
        captions=captions(),
        benchmarks=lambda wildcards, input: str(
            Path(input.claims).with_name("benchmarks")
        ),
        neuron_pages={model: f"neurons/{model}.html" for model in MODELS},
        code=code_of("report"),
    script:
        address("../../scripts/report.py")
