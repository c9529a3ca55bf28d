"""What the two audits share: findings are said at once and written as a table."""

import logging
from typing import Any

from rareneurons.models.audit import StoredCheckpoint, checkpoint_audit
from rareneurons_jobs.job import announce, write_parquet


def write_findings(job: Any, found: list[StoredCheckpoint]) -> None:
    """Audit one model's checkpoints; every finding goes to the terminal, all numbers into the table."""
    audit = checkpoint_audit(found, **job.params.bounds)
    for row in audit[audit["left_out"]].itertuples():
        announce(f"{row.model}/{row.checkpoint} is left out of statements about training: {row.finding}: {row.reason}")
    logging.info("%d checkpoints, %.0f MiB in all", len(audit), audit["bytes"].sum() / 2**20)
    write_parquet(audit, job.output.audit)
