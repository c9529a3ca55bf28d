"""WeightWatcher on every weight matrix of a checkpoint."""

from checkpoint_job import open_job_checkpoint
from job import checkpoint_name, run, write_parquet

from rareneurons.spectra import weightwatcher_table


def main(job):
    table = weightwatcher_table(open_job_checkpoint(job, device="cpu").weight_matrices())
    for place, (name, value) in enumerate(checkpoint_name(job).columns().items()):
        table.insert(place, name, value)
    write_parquet(table, job.output[0])


run(main, snakemake)
