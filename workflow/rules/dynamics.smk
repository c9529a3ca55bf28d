# Tables across models and checkpoints, and every measure by training step.


rule table:
    input:
        lambda wildcards: every_checkpoint(f"{wildcards.table}.parquet"),
    output:
        in_run("tables/{table}.csv"),
    log:
        in_run("logs/table/{table}.log"),
    benchmark:
        in_run("benchmarks/table/{table}.tsv")
    wildcard_constraints:
        table=one_of(table.name for table in tables_of_run(config) if table.joined),
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        code=code_of("join_tables"),
    script:
        address("../../scripts/join_tables.py")


rule dynamics:
    input:
        tables=expand(in_run("tables/{table}.csv"), table=MEASURES),
        regimes=in_run("tables/regimes.csv"),
        draws=[
            file
            for name in ("regime", "coordination", "spectra", "joint")
            for file in every_checkpoint(f"{name}_draws.parquet")
        ],
        influence=every_checkpoint("influence.parquet"),
        audit=in_run("tables/audit.csv"),
    output:
        in_run("tables/dynamics.csv"),
    log:
        in_run("logs/dynamics.log"),
    benchmark:
        in_run("benchmarks/dynamics.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("dynamics"),
    params:
        permutations=config["dynamics"]["permutations"],
        top=derived_settings.middle_top(config),
        seed=config["seed"],
        code=code_of("dynamics"),
    script:
        address("../../scripts/dynamics.py")


rule final_top:
    input:
        influence=every_checkpoint("influence.parquet"),
        audit=in_run("tables/audit.csv"),
        groups=last_checkpoints("groups.parquet"),
    output:
        in_run("tables/final_top.csv"),
    log:
        in_run("logs/final_top.log"),
    benchmark:
        in_run("benchmarks/final_top.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        condition=config["groups"]["condition"],
        code=code_of("final_top"),
    script:
        address("../../scripts/final_top.py")


rule training_loss:
    input:
        losses=expand(in_run("{model}/training_loss.csv"), model=TRAINED),
        counts=[
            in_run(f"inputs/counts/{MODELS[model]['tokenizer']}/counts.npy")
            for model in TRAINED
        ],
    output:
        in_run("tables/training_loss.csv"),
    log:
        in_run("logs/training_loss.log"),
    benchmark:
        in_run("benchmarks/training_loss.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        models=TRAINED,
        code=code_of("training_loss"),
    script:
        address("../../scripts/training_loss.py")
