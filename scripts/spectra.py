"""Spectra of the weight rows of each group of a checkpoint, and of the last checkpoint's groups tracked backwards."""

from rareneurons.groups import tracked_backwards, with_redrawn
from rareneurons.influence.sums import FIELDS, InfluenceSums
from rareneurons.spectra.estimates import SpectraSettings, spectra_estimates
from rareneurons.stats import document_weights
from rareneurons_jobs.job import generator, read_array, run, shared_generator
from rareneurons_jobs.measure_job import final_groups, has_final, own_groups, read_evidence, write_measured


def redrawn(job, groups, by_document):
    """The groups with those that resampled discovery documents would have chosen from the same effects."""
    sums = tuple(
        InfluenceSums(*(read_array(by_document, f"{condition}/discovery/{field}") for field in FIELDS))
        for condition in job.params.conditions
    )
    weights = document_weights(len(sums[0].n_rows), job.params.draws, shared_generator(job, "spectra"))
    return with_redrawn(groups, sums, weights)


def main(job):
    groups = redrawn(job, own_groups(job), job.input.by_document)
    if has_final(job):
        groups |= tracked_backwards(redrawn(job, final_groups(job), job.input.final_influence_by_document))
    settings = SpectraSettings(job.params.draws)
    write_measured(spectra_estimates(read_evidence(job), groups, settings, generator(job, "spectra")), job)


run(main, snakemake)
