# The entry: what `snakemake` runs in this folder. config.yaml is the full reproduction, config/ has overlays.


configfile: f"{workflow.basedir}/config.yaml"


report: "workflow/report/workflow.rst"


# As `include:` does, and its rule `all` stays the default target.
workflow.include("workflow/Snakefile", overwrite_default_target=True)
