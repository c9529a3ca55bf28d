"""``rareneurons export``: a model of a finished run in the formats of other projects."""

from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

import rareneurons
from rareneurons.conventions import ALL_MODELS
from rareneurons.errors import RunError
from rareneurons.export.contents import CHECKPOINT_TABLES, CLAIMS, EXAMPLES, ModelTables, Publication
from rareneurons.export.dataset import write_dataset
from rareneurons.export.neuronpedia import write_neuronpedia
from rareneurons.model_folders.folders import step_of
from rareneurons.provenance import code_commit
from rareneurons.tables import CheckpointName, with_empty_text


def run(given: Namespace) -> int:
    """Read, write and say what comes next."""
    found = read_model(given.run, given.model)
    if given.folder.exists() and any(given.folder.iterdir()):
        raise RunError(f"{given.folder}: found files in it; expected a new or empty folder")
    code = " ".join(part for part in ("rareneurons", rareneurons.__version__, code_commit()) if part)
    publication = Publication(given.creator, given.license, code, datetime.now(UTC))
    dataset = given.folder / "dataset"
    write_dataset(found, publication, dataset)
    source = write_neuronpedia(found, publication, given.folder / "neuronpedia")
    examples = found.tables[EXAMPLES]
    print(f"{examples['neuron'].nunique()} neurons with {len(examples)} examples, {found.name.model}/", end="")
    print(f"{found.name.checkpoint}\n{dataset}: upload it with: hf upload OWNER/NAME {dataset} --repo-type dataset")
    print(f"{source}: for Neuronpedia; docs/command_line.md says how it is imported")
    if given.license == "unknown":
        print("The licence is 'unknown': name one with --license, or in the card's first lines, before you publish")
    return 0


def read_model(run: Path, model: str) -> ModelTables:
    """The tables of a model's last checkpoint, and what the run says of the model.

    Raises:
        RunError: no run, no such model, or a run without tables of examples.
    """
    if not (run / "claims.csv").is_file():
        raise RunError(f"{run}: found no claims.csv; expected the folder of a finished run, results/<run>")
    checkpoints = [file.parent for file in run.glob(f"{model}/*/influence.parquet")]
    if not checkpoints:
        models = sorted({file.parent.parent.name for file in run.glob("*/*/influence.parquet")})
        raise RunError(f"{run}: found no model {model!r}; expected one of {', '.join(models) or 'none: it is empty'}")
    last = max(checkpoints, key=lambda folder: (step_of(folder.name) or ("", -1))[1])
    missing = [name for name in CHECKPOINT_TABLES if not (last / f"{name}.parquet").is_file()]
    if missing:
        raise RunError(
            f"{last}: found no {missing[0]}.parquet; expected a run of rareneurons {rareneurons.__version__} or later. "
            "Run the workflow again with the same configuration, which computes what is missing"
        )
    tables = {name: pd.read_parquet(last / f"{name}.parquet") for name in CHECKPOINT_TABLES}
    claims = with_empty_text(pd.read_csv(run / "claims.csv"))
    tables[CLAIMS] = claims[claims["model"].isin([model, ALL_MODELS])].reset_index(drop=True)
    return ModelTables(run.resolve().name, CheckpointName(model, last.name), tables, _provenance(run, model, last.name))


def _provenance(run: Path, model: str, checkpoint: str) -> dict[str, str]:
    """Item -> value for the run and the checkpoint."""
    table = pd.read_csv(run / "tables/provenance.csv", dtype=str)
    mine = table[table["subject"].isin(["run", f"{model}/{checkpoint}"])]
    return dict(zip(mine["item"], mine["value"], strict=True))
