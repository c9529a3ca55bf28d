"""WeightWatcher on every weight matrix of a checkpoint."""

from job import checkpoint_name, run, write_parquet

from rareneurons.models.weights import weight_matrices
from rareneurons.spectra.layers import weightwatcher_table


def main(job):
    table = weightwatcher_table(weight_matrices(job.params.folder), job.params.seed)
    write_parquet(checkpoint_name(job).labelled(table), job.output[0])


run(main, snakemake)
