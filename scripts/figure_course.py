"""The main measures of the head against training step."""

import pandas as pd
from figure_job import draw
from job import run

from rareneurons.figures.dynamics import CoursePanels, course_of_training


def main(job):
    courses = [
        CoursePanels(pd.read_csv(getattr(job.input, table)), measure, label, conditions, groups, table == "spectra")
        for table, measure, label, conditions, groups in job.params.courses
    ]
    draw(job, course_of_training, courses)


run(main, snakemake)
