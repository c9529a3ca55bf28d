# The rows on which every checkpoint of every model with this tokenizer is evaluated.


rule rows:
    input:
        documents=in_run(f"inputs/corpora/{config['rows']['corpus']}/documents.parquet"),
        tokenizer=lambda wildcards: tokenizer_input(wildcards.tokenizer),
        counts=lambda wildcards: counts_file(wildcards.tokenizer),
    output:
        blocks=in_run("inputs/rows/{tokenizer}/blocks.npz"),
        rows=in_run("inputs/rows/{tokenizer}/rows.parquet"),
        frequencies=in_run("inputs/rows/{tokenizer}/frequencies.parquet"),
        conditions=in_run("inputs/rows/{tokenizer}/conditions.parquet"),
    log:
        in_run("logs/rows/{tokenizer}.log"),
    benchmark:
        in_run("benchmarks/rows/{tokenizer}.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("rows"),
    params:
        tokenizer=tokenizer_folder,
        files=lambda wildcards: states_of_own_files(tokenizer=wildcards.tokenizer),
        rows=config["rows"],
        pair=CONDITION_PAIR,
        padded_to=lambda wildcards: TOKENIZERS[wildcards.tokenizer]["counts"].get(
            "padded_to", 0
        ),
        seed=config["seed"],
        code=code_of("select_rows"),
    script:
        address("../../scripts/select_rows.py")


rule conditions_table:
    input:
        expand(
            in_run("inputs/rows/{tokenizer}/conditions.parquet"),
            tokenizer=dict.fromkeys(entry["tokenizer"] for entry in MODELS.values()),
        ),
    output:
        table_in_report("conditions"),
    log:
        in_run("logs/conditions_table.log"),
    benchmark:
        in_run("benchmarks/conditions_table.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        code=code_of("join_tables"),
    script:
        address("../../scripts/join_tables.py")
