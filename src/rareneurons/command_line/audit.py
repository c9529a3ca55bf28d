"""``rareneurons audit``: findings as lines, or everything as JSON."""

import json
from argparse import Namespace

import numpy as np

from rareneurons.inspection.auditing import MIB, RunAudit, audit


def run(given: Namespace) -> int:
    """Audit, print, and return 1 if something was found."""
    found = audit(given.source, given.revisions, given.beside, progress=not given.quiet)
    print(as_json(given.source, found) if given.json else as_text(given.source, found))
    return int(len(found.findings) > 0)


def as_text(source: str, found: RunAudit) -> str:
    """One line per finding, then one about all."""
    lines = [f"{row.checkpoint}: {row.finding}: {row.reason}" for row in found.findings.itertuples()]
    n, wrong = len(found.table), len(found.findings)
    said = f"{wrong} of {n} checkpoints are not what their names say" if wrong else f"{n} checkpoints, nothing found"
    total = found.table["bytes"].sum() / MIB
    read = f"read {found.bytes_read / MIB:.1f} of {total:.1f} MiB in {found.seconds:.1f} s"
    return "\n".join([*lines, f"{source}: {said}; {read}"])


def as_json(source: str, found: RunAudit) -> str:
    """All columns of the audit, unknown numbers as null."""
    records = found.table.astype(object).replace({np.nan: None}).to_dict("records")
    content = {"source": source, "bytes_read": found.bytes_read, "seconds": found.seconds, "checkpoints": records}
    return json.dumps(content, indent=2, ensure_ascii=False)
