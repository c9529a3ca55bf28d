"""Spectra of the weight rows of each group of a checkpoint, and of the last checkpoint's groups followed back."""

import pandas as pd
from job import checkpoint_name, generator, read_array, run, shared_generator, write_parquet
from safetensors.numpy import load_file

from rareneurons.groups import controlled_groups, followed_back, redrawn_groups
from rareneurons.influence.sums import FIELDS, InfluenceSums
from rareneurons.spectra.group import checkpoint_spectra, neuron_weights
from rareneurons.stats import document_weights, frame_of_tests
from rareneurons.tables import draws_frame


def chosen(job, groups, controls, by_document):
    """Groups with their controls, and whom resampled documents would choose instead."""
    frame = pd.read_parquet(groups)
    found = controlled_groups(frame, pd.read_parquet(controls))
    name = f"{frame['condition'].iloc[0]}/discovery"
    sums = InfluenceSums(*(read_array(by_document, f"{name}/{field}") for field in FIELDS))
    weights = document_weights(len(sums.n_rows), job.params.draws, shared_generator(job))
    return found, redrawn_groups({group: members for group, (members, _) in found.items()}, sums, weights)


def main(job):
    given, name = job.input, checkpoint_name(job)
    groups, redrawn = chosen(job, given.groups, given.controls, given.by_document)
    if "final_groups" in given.keys():  # noqa: SIM118  Snakemake's inputs are no dictionary
        final = chosen(job, given.final_groups, given.final_controls, given.final_influence_by_document)
        groups, redrawn = groups | followed_back(final[0]), redrawn | followed_back(final[1])
    condition = pd.read_parquet(given.groups)["condition"].iloc[0]
    weights = neuron_weights(load_file(given.last_layer))
    found, draws, plots = checkpoint_spectra(weights, groups, redrawn, job.params.draws, generator(job))
    write_parquet(frame_of_tests(name, ((condition, *each) for each in found)), job.output.table)
    write_parquet(name.labelled(draws_frame((condition, *each) for each in draws)), job.output.draws)
    write_parquet(name.labelled(plots), job.output.hill)


run(main, snakemake)
