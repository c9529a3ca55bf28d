# The run beside the paper's numbers, and beside itself with the authors' choices.


rule paper_comparison:
    input:
        numbers=str(Path(workflow.basedir) / "workflow/resources/paper_numbers.csv"),
        tables=expand(
            in_run("tables/{table}.csv"),
            table=["regimes", "coordination", "organization"],
        ),
        by_document=every_checkpoint("influence_by_document.safetensors"),
    output:
        report(
            in_run("tables/paper_comparison.csv"),
            caption="../report/paper_comparison.rst",
            category="Claims",
        ),
    log:
        in_run("logs/paper_comparison.log"),
    benchmark:
        in_run("benchmarks/paper_comparison.tsv")
    conda:
        "../../envs/rareneurons.yaml"
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
        "../../scripts/paper_comparison.py"
