# Figures, each as PDF and PNG: src/rareneurons/planning/figures.py says what each is drawn from, and by which function.


rule figure:
    input:
        unpack(
            lambda wildcards: {
                name: files_of(source)
                for name, source in FIGURES[wildcards.figure].sources.items()
            }
        ),
    output:
        pdf=in_run("figures/{figure}.pdf"),
        png=report(
            in_run("figures/{figure}.png"),
            caption="../resources/caption.rst",
            category=lambda wildcards: FIGURES[wildcards.figure].section.title,
        ),
    log:
        in_run("logs/figures/{figure}.log"),
    benchmark:
        in_run("benchmarks/figures/{figure}.tsv")
    wildcard_constraints:
        figure=one_of(FIGURES),
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        function=lambda wildcards: FIGURES[wildcards.figure].function,
        settings=lambda wildcards: FIGURES[wildcards.figure].settings(config),
        rows=lambda wildcards: {
            name: source.rows
            for name, source in FIGURES[wildcards.figure].sources.items()
        },
        caption=lambda wildcards: caption_of(wildcards.figure),
        code=lambda wildcards: code_of("figure", FIGURES[wildcards.figure].module),
    script:
        address("../../scripts/figure.py")
