"""Token-frequency and entropy properties of the groups at each model's last checkpoint."""

from figure_job import draw, joined
from job import run

from rareneurons.figures.regimes import neuron_types
from rareneurons.groups import MEASURED


def main(job):
    draw(job, neuron_types, joined(job.input.neurons), joined(job.input.groups), MEASURED)


run(main, snakemake)
