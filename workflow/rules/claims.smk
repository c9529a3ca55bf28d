# One verdict per claim and model, and one per claim over all models.


rule claims:
    input:
        expand(
            in_run("tables/{table}.csv"),
            table=CLAIM_TABLES + ["firmness"] * derived_settings.has_firmness(config),
        ),
    output:
        csv=report(
            in_run("claims.csv"), caption="../report/claims.rst", category="Claims"
        ),
        markdown=in_run("claims.md"),
    log:
        in_run("logs/claims.log"),
    benchmark:
        in_run("benchmarks/claims.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        pair=CONDITION_PAIR,
        bounds=CLAIM_BOUNDS,
        replicate_of=derived_settings.replicate_of(config),
        code=code_of("claims"),
    script:
        address("../../scripts/claims.py")
