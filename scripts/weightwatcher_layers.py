"""WeightWatcher on every weight matrix of a checkpoint."""

from rareneurons.models.weights import weight_matrices
from rareneurons.spectra.layers import weightwatcher_table
from rareneurons_jobs.job import checkpoint_name, run, write_parquet


def main(job):
    table = weightwatcher_table(weight_matrices(job.params.folder), job.params.seed)
    write_parquet(checkpoint_name(job).labelled(table), job.output[0])


run(main, snakemake)
