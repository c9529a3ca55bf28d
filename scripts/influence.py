"""Effect of ablating every neuron of a checkpoint's last MLP, per condition and split."""

import logging

from checkpoint_job import open_job_checkpoint, read_rows
from job import checkpoint_name, progress, run, write_arrays, write_parquet
from safetensors.numpy import load_file

from rareneurons.influence import closed_form, sums
from rareneurons.rows import condition_split_masks


def main(job):
    settings = job.params.influence
    architecture = open_job_checkpoint(job)
    rows = read_rows(job.input.rows)
    arrays = load_file(job.input.trace)
    by_document, pairs = closed_form.influence_by_document(
        architecture,
        arrays,
        rows["target"].to_numpy(),
        rows["document"].to_numpy(),
        condition_split_masks(rows),
        settings["reference"],
        settings["tolerance"],
        int(settings["memory_gib"] * 2**30),
        progress(f"influence {job.wildcards.model}/{job.wildcards.checkpoint}"),
    )
    logging.info("pairs: %d by the exact sum, %d by the series", pairs.exact, pairs.series)
    layer = architecture.n_layers - 1
    write_parquet(sums.influence_frame(checkpoint_name(job), layer, by_document), job.output.table)
    write_arrays(sums.blocked_arrays(by_document, settings["document_blocks"]), job.output.by_document)


run(main, snakemake)
