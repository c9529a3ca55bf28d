# The entry: what `snakemake` runs in this folder. config.yaml is the full reproduction, config/ has overlays.


configfile: f"{workflow.basedir}/config.yaml"


# With `--sdm conda` jobs use envs/, with `--sdm apptainer` this image of the Dockerfile, from the folder in which Snakemake runs
# (docs/cluster.md says how to build it). Otherwise they use the environment that Snakemake runs in.
container: "rareneurons.sif"


report: "workflow/report/workflow.rst"


# As `include:` does, and its rule `all` stays the default target.
workflow.include("workflow/Snakefile", overwrite_default_target=True)
