"""Describe and test the rank-influence curves of a checkpoint on held-out documents."""

from safetensors.numpy import load_file

from rareneurons.influence.sums import sums_of_arrays
from rareneurons.regimes.estimates import RegimeSettings, no_plateau_bands, regime_estimates, trending_draws
from rareneurons.tables import measure_frame
from rareneurons_jobs.job import checkpoint_name, generator, run, shared_generator, write_parquet


def main(job):
    given = job.params.regimes
    lists = {"cuts": tuple(given["cuts"]), "tops": tuple(given["tops"])}
    settings = RegimeSettings(**given | lists, power_wanted=job.params.power_wanted)
    sums = sums_of_arrays(load_file(job.input.by_document))
    name, pair, rng = checkpoint_name(job), tuple(job.params.pair), generator(job, "regimes")
    write_parquet(measure_frame(name, regime_estimates(sums, pair, settings, rng)), job.output.table)
    bands = no_plateau_bands(sums, pair, settings.null_curves, rng)
    write_parquet(name.labelled(bands), job.output.bands)
    write_parquet(trending_draws(name, sums, pair, settings, shared_generator(job, "regimes")), job.output.draws)


run(main, snakemake)
