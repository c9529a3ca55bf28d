# Audit of the checkpoints before anything is computed: on the hub without a download, local folders by their hashes.
# Also the origin of every number of the run.


rule list_files:
    output:
        in_run("{model}/{checkpoint}/hub_files.json"),
    log:
        in_run("logs/list_files/{model}/{checkpoint}.log"),
    benchmark:
        in_run("benchmarks/list_files/{model}/{checkpoint}.tsv")
    wildcard_constraints:
        model=one_of(named(MODELS, "hub")),
    # All models are listed and audited before the first download.
    priority: 20
    retries: 2
    localrule: True
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        repository=lambda wildcards: MODELS[wildcards.model]["repository"],
        revision=revision_of,
        code=code_of("list_files"),
    script:
        address("../../scripts/list_files.py")


rule audit_hub:
    input:
        lambda wildcards: [
            in_run(f"{wildcards.model}/{name}/hub_files.json")
            for name in checkpoints_of(wildcards.model)
        ],
    output:
        audit=in_run("{model}/audit.parquet"),
    log:
        in_run("logs/audit/{model}.log"),
    benchmark:
        in_run("benchmarks/audit/{model}.tsv")
    wildcard_constraints:
        model=one_of(named(MODELS, "hub")),
    priority: 20
    retries: 2
    localrule: True
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        bounds=config["audit"],
        code=code_of("audit_hub"),
    script:
        address("../../scripts/audit_hub.py")


rule audit_folders:
    input:
        weights_of_folders,
    output:
        audit=in_run("{model}/audit.parquet"),
    log:
        in_run("logs/audit/{model}.log"),
    benchmark:
        in_run("benchmarks/audit/{model}.tsv")
    wildcard_constraints:
        model=one_of([*TRAINED, *named(MODELS, "local"), *named(MODELS, "gguf")]),
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("audit_folders"),
    params:
        folders=folders_of,
        dates=lambda wildcards: {
            folder: folders.dates_and_sizes(folder)
            for folder in MODELS[wildcards.model].get("folders", {}).values()
        },
        bounds=config["audit"],
        code=code_of("audit_folders"),
    script:
        address("../../scripts/audit_folders.py")


rule audit:
    input:
        [in_run(f"{model}/audit.parquet") for model in MODELS],
    output:
        table_in_report("audit"),
    log:
        in_run("logs/audit.log"),
    benchmark:
        in_run("benchmarks/audit.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        code=code_of("join_tables"),
    script:
        address("../../scripts/join_tables.py")


rule provenance:
    input:
        checkpoints=every_checkpoint("provenance.json"),
        corpora=[in_run(f"inputs/corpora/{name}/manifest.json") for name in CORPORA],
        audit=in_run("tables/audit.csv"),
        conditions=in_run("tables/conditions.csv"),
    output:
        table_in_report("provenance"),
    log:
        in_run("logs/provenance.log"),
    benchmark:
        in_run("benchmarks/provenance.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        seed=config["seed"],
        device=config["device"],
        code=code_of("provenance"),
    script:
        address("../../scripts/provenance.py")
