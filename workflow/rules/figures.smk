# Figures, each as PDF and PNG, with the caption that the report shows.


rule figure_rank_influence:
    input:
        influence=last_checkpoints("influence.parquet"),
        bands=last_checkpoints("no_plateau_bands.parquet"),
        regimes=last_checkpoints("regimes.parquet"),
    output:
        **figure_files("rank_influence", "Regimes"),
    log:
        in_run("logs/figures/rank_influence.log"),
    benchmark:
        in_run("benchmarks/figures/rank_influence.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        cuts=config["regimes"]["cuts"],
        conditions=CONDITION_PAIR,
        code=code_of("figure_rank_influence"),
    script:
        "../../scripts/figure_rank_influence.py"


rule figure_rank_influence_by_checkpoint:
    input:
        every_checkpoint("influence.parquet"),
    output:
        **figure_files("rank_influence_by_checkpoint", "Regimes"),
    log:
        in_run("logs/figures/rank_influence_by_checkpoint.log"),
    benchmark:
        in_run("benchmarks/figures/rank_influence_by_checkpoint.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        conditions=CONDITION_PAIR,
        code=code_of("figure_rank_influence_by_checkpoint"),
    script:
        "../../scripts/figure_rank_influence_by_checkpoint.py"


rule figure_regimes:
    input:
        in_run("tables/regimes.csv"),
    output:
        **figure_files("regimes", "Regimes"),
    log:
        in_run("logs/figures/regimes.log"),
    benchmark:
        in_run("benchmarks/figures/regimes.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        flatness=config["regimes"]["flatness"],
        alpha=config["regimes"]["alpha"],
        conditions=CONDITION_PAIR,
        code=code_of("figure_regimes"),
    script:
        "../../scripts/figure_regimes.py"


rule figure_threshold_sweep:
    input:
        in_run("tables/regimes.csv"),
    output:
        **figure_files("threshold_sweep", "Regimes"),
    log:
        in_run("logs/figures/threshold_sweep.log"),
    benchmark:
        in_run("benchmarks/figures/threshold_sweep.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        conditions=[
            *(entry["name"] for entry in config["rows"]["conditions"]),
            *(f"shuffled_{name}" for name in CONDITION_PAIR),
        ],
        flatness=config["regimes"]["flatness"],
        code=code_of("figure_threshold_sweep"),
    script:
        "../../scripts/figure_threshold_sweep.py"


rule figure_overlap:
    input:
        in_run("tables/regimes.csv"),
    output:
        **figure_files("overlap", "Regimes"),
    log:
        in_run("logs/figures/overlap.log"),
    benchmark:
        in_run("benchmarks/figures/overlap.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        pair=CONDITION_PAIR,
        top=middle_top(),
        code=code_of("figure_overlap"),
    script:
        "../../scripts/figure_overlap.py"


rule figure_neuron_types:
    input:
        neurons=last_checkpoints("neurons.parquet"),
        groups=last_checkpoints("groups.parquet"),
    output:
        **figure_files("neuron_types", "Regimes"),
    log:
        in_run("logs/figures/neuron_types.log"),
    benchmark:
        in_run("benchmarks/figures/neuron_types.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        code=code_of("figure_neuron_types"),
    script:
        "../../scripts/figure_neuron_types.py"


rule figure_coordination:
    input:
        in_run("tables/coordination.csv"),
    output:
        **figure_files("coordination", "Coordination"),
    log:
        in_run("logs/figures/coordination.log"),
    benchmark:
        in_run("benchmarks/figures/coordination.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        condition=config["groups"]["condition"],
        alpha=config["claims"]["alpha"],
        code=code_of("figure_coordination"),
    script:
        "../../scripts/figure_coordination.py"


rule figure_coordination_rows:
    input:
        in_run("tables/coordination.csv"),
    output:
        **figure_files("coordination_rows", "Coordination"),
    log:
        in_run("logs/figures/coordination_rows.log"),
    benchmark:
        in_run("benchmarks/figures/coordination_rows.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        condition=config["groups"]["condition"],
        code=code_of("figure_coordination_rows"),
    script:
        "../../scripts/figure_coordination_rows.py"


rule figure_organization:
    input:
        in_run("tables/organization.csv"),
    output:
        **figure_files("organization", "Organization"),
    log:
        in_run("logs/figures/organization.log"),
    benchmark:
        in_run("benchmarks/figures/organization.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        condition=config["groups"]["condition"],
        code=code_of("figure_organization"),
    script:
        "../../scripts/figure_organization.py"


rule figure_communities:
    input:
        last_checkpoints("communities.safetensors"),
    output:
        **figure_files("communities", "Organization"),
    log:
        in_run("logs/figures/communities.log"),
    benchmark:
        in_run("benchmarks/figures/communities.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        models=list(MODELS),
        code=code_of("figure_communities"),
    script:
        "../../scripts/figure_communities.py"


rule figure_attention:
    input:
        last_checkpoints("heads.parquet"),
    output:
        **figure_files("attention", "Attention"),
    log:
        in_run("logs/figures/attention.log"),
    benchmark:
        in_run("benchmarks/figures/attention.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        conditions=CONDITION_PAIR,
        alpha=config["attention"]["alpha"],
        code=code_of("figure_attention"),
    script:
        "../../scripts/figure_attention.py"


rule figure_head_concentration:
    input:
        heads=last_checkpoints("heads.parquet"),
        attention=last_checkpoints("attention.parquet"),
    output:
        **figure_files("head_concentration", "Attention"),
    log:
        in_run("logs/figures/head_concentration.log"),
    benchmark:
        in_run("benchmarks/figures/head_concentration.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        conditions=CONDITION_PAIR,
        code=code_of("figure_head_concentration"),
    script:
        "../../scripts/figure_head_concentration.py"


rule figure_heads_and_layers:
    input:
        last_checkpoints("heads.parquet"),
    output:
        **figure_files("heads_and_layers", "Attention"),
    log:
        in_run("logs/figures/heads_and_layers.log"),
    benchmark:
        in_run("benchmarks/figures/heads_and_layers.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        condition=config["groups"]["condition"],
        code=code_of("figure_heads_and_layers"),
    script:
        "../../scripts/figure_heads_and_layers.py"


rule figure_attention_patterns:
    input:
        last_checkpoints("heads.parquet"),
    output:
        **figure_files("attention_patterns", "Attention"),
    log:
        in_run("logs/figures/attention_patterns.log"),
    benchmark:
        in_run("benchmarks/figures/attention_patterns.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        conditions=CONDITION_PAIR,
        code=code_of("figure_attention_patterns"),
    script:
        "../../scripts/figure_attention_patterns.py"


rule figure_spectra:
    input:
        in_run("tables/spectra.csv"),
    output:
        **figure_files("spectra", "Spectra"),
    log:
        in_run("logs/figures/spectra.log"),
    benchmark:
        in_run("benchmarks/figures/spectra.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        measure="hill.w_out.matched",
        label="Hill exponent, W_out",
        condition=config["groups"]["condition"],
        code=code_of("figure_measure"),
    script:
        "../../scripts/figure_measure.py"


rule figure_hill_plot:
    input:
        last_checkpoints("hill_plot.parquet"),
    output:
        **figure_files("hill_plot", "Spectra"),
    log:
        in_run("logs/figures/hill_plot.log"),
    benchmark:
        in_run("benchmarks/figures/hill_plot.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        code=code_of("figure_hill_plot"),
    script:
        "../../scripts/figure_hill_plot.py"


rule figure_weightwatcher:
    input:
        in_run("tables/weightwatcher.csv"),
    output:
        **figure_files("weightwatcher", "Spectra"),
    log:
        in_run("logs/figures/weightwatcher.log"),
    benchmark:
        in_run("benchmarks/figures/weightwatcher.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        columns={
            "alpha": "alpha",
            "ww_softrank": "largest eigenvalue,\nshuffled / own",
        },
        code=code_of("figure_weightwatcher"),
    script:
        "../../scripts/figure_weightwatcher.py"


rule figure_training_loss:
    input:
        losses=[in_run(f"{model}/training_loss.csv") for model in TRAINED],
        counts=[
            in_run(f"inputs/counts/{MODELS[model]['tokenizer']}/counts.npy")
            for model in TRAINED[:1]
        ],
    output:
        **figure_files("training_loss", "Training"),
    log:
        in_run("logs/figures/training_loss.log"),
    benchmark:
        in_run("benchmarks/figures/training_loss.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        code=code_of("figure_training_loss"),
    script:
        "../../scripts/figure_training_loss.py"


rule figure_audit:
    input:
        in_run("tables/audit.csv"),
    output:
        **figure_files("audit", "Data"),
    log:
        in_run("logs/figures/audit.log"),
    benchmark:
        in_run("benchmarks/figures/audit.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        code=code_of("figure_audit"),
    script:
        "../../scripts/figure_audit.py"


rule figure_dynamics:
    input:
        head=in_run("tables/final_head.csv"),
        dynamics=in_run("tables/dynamics.csv"),
    output:
        **figure_files("dynamics", "Training"),
    log:
        in_run("logs/figures/dynamics.log"),
    benchmark:
        in_run("benchmarks/figures/dynamics.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        conditions=CONDITION_PAIR,
        top=middle_top(),
        code=code_of("figure_dynamics"),
    script:
        "../../scripts/figure_dynamics.py"


rule figure_course:
    input:
        regimes=in_run("tables/regimes.csv"),
        coordination=in_run("tables/coordination.csv"),
        spectra=in_run("tables/spectra.csv"),
    output:
        **figure_files("course", "Training"),
    log:
        in_run("logs/figures/course.log"),
    benchmark:
        in_run("benchmarks/figures/course.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        courses=[
            [table, measure, label, CONDITION_PAIR, ["boost"]]
            for table, measure, label in (
                ["regimes", "mean_abs.auto.power_law_exponent", "exponent"],
                ["regimes", "mean_abs.auto.plateau_end", "plateau end\n(ln rank)"],
                [
                    "regimes",
                    "mean_abs.head.influence_share",
                    "head's share\nof influence",
                ],
            )
        ]
        + [
            [table, measure, label, CONDITION_PAIR[:1], HEAD_GROUPS]
            for table, measure, label in (
                [
                    "coordination",
                    "effective_dimension.matched",
                    "effective\ndimension / n",
                ],
                ["spectra", "hill.w_out.matched", "Hill exponent,\nW_out"],
                ["spectra", "hill.w_in.matched", "Hill exponent,\nW_in"],
            )
        ],
        code=code_of("figure_course"),
    script:
        "../../scripts/figure_course.py"


rule figure_choices:
    input:
        in_run("tables/choices.csv"),
    output:
        **figure_files("choices", "Claims"),
    log:
        in_run("logs/figures/choices.log"),
    benchmark:
        in_run("benchmarks/figures/choices.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        code=code_of("figure_choices"),
    script:
        "../../scripts/figure_choices.py"
