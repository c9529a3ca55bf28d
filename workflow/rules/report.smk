# The pages that people open: one page of neurons per model, and the report of the run.


rule neuron_page:
    input:
        influence=checkpoints_with("influence.parquet"),
        neurons=checkpoints_with("neurons.parquet"),
        groups=checkpoints_with("groups.parquet"),
        examples=last_checkpoint_with("top_examples.parquet"),
        tokens=last_checkpoint_with("token_effects.parquet"),
        last_groups=last_checkpoint_with("groups.parquet"),
        types=rows_of_model("frequencies.parquet"),
    output:
        page=in_run("neurons/{model}.html"),
        scripts=directory(in_run("neurons/{model}")),
    log:
        in_run("logs/neuron_page/{model}.log"),
    benchmark:
        in_run("benchmarks/neuron_page/{model}.tsv")
    wildcard_constraints:
        model=one_of(MODELS),
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("neuron_page"),
    params:
        conditions=CONDITION_PAIR,
        pages={model: f"{model}.html" for model in MODELS},
        code=code_of("neuron_page"),
    script:
        address("../../scripts/neuron_page.py")


rule plotly_script:
    output:
        in_run("neurons/plotly.min.js"),
    log:
        in_run("logs/plotly_script.log"),
    benchmark:
        in_run("benchmarks/plotly_script.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        code=code_of("plotly_script"),
    script:
        address("../../scripts/plotly_script.py")


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
