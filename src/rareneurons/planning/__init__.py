"""Planning the workflow: the configuration, what jobs cost, digests of code, figures, tables and the report.

Only ``workflow/`` and the report import it, and it imports nothing that computes: a plan (``snakemake -n``) can be made
where Snakemake alone is installed.
"""
