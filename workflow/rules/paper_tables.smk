# The paper's tables with controls, from the run's own: src/rareneurons/planning/tables.py says from which.


rule paper_table:
    input:
        lambda wildcards: [
            in_run(f"tables/{name}.csv") for name in TABLES[wildcards.table].reads
        ],
    output:
        report(
            in_run("tables/{table}.csv"),
            caption="../resources/caption.rst",
            category=lambda wildcards: TABLES[wildcards.table].section.title,
        ),
    log:
        in_run("logs/{table}.log"),
    benchmark:
        in_run("benchmarks/{table}.tsv")
    wildcard_constraints:
        table=one_of(name for name, table in TABLES.items() if table.function),
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        function=lambda wildcards: TABLES[wildcards.table].function,
        caption=lambda wildcards: caption_of(wildcards.table),
        code=lambda wildcards: code_of("paper_table", TABLES[wildcards.table].module),
    script:
        address("../../scripts/paper_table.py")
