from snakemake.utils import min_version

min_version("9.18")


configfile: f"{workflow.basedir}/config.yaml"


# With `--sdm conda` jobs use envs/, with `--sdm apptainer` this image of the Dockerfile, from the folder in which Snakemake runs
# (docs/cluster.md says how to build it). Otherwise they use the environment that Snakemake runs in.
container: "rareneurons.sif"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/outcome.smk"
include: "workflow/rules/corpus.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/audit.smk"
include: "workflow/rules/rows.smk"
include: "workflow/rules/trace.smk"
include: "workflow/rules/influence.smk"


if config["other_layers"]["layers"]:

    include: "workflow/rules/other_layers.smk"


include: "workflow/rules/regimes.smk"
include: "workflow/rules/joint.smk"
include: "workflow/rules/measures.smk"
include: "workflow/rules/organization.smk"
include: "workflow/rules/attention.smk"
include: "workflow/rules/spectra.smk"
include: "workflow/rules/dynamics.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/paper_tables.smk"
include: "workflow/rules/comparison.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"


localrules:
    all,


rule all:
    default_target: True
    input:
        in_run("claims.csv"),
        in_run("claims.md"),
        in_run("report.html"),
        neuron_pages(),
        every_checkpoint("influence.parquet"),
        tables(),
        figures(),


onstart:
    begin()


onsuccess:
    say_where_to_look()


onerror:
    say_what_is_missing()
