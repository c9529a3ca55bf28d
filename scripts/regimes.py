"""Describe the rank-influence curves of a checkpoint on held-out documents."""

from job import checkpoint_name, generator, run, write_parquet
from safetensors.numpy import load_file

from rareneurons.influence.sums import sums_of_arrays
from rareneurons.regimes import all_curve_estimates
from rareneurons.tables import measure_frame


def main(job):
    sums = sums_of_arrays(load_file(job.input.by_document))
    estimates = all_curve_estimates(sums, tuple(job.params.cuts), job.params.bootstrap, generator(job))
    write_parquet(measure_frame(checkpoint_name(job), estimates), job.output[0])


run(main, snakemake)
