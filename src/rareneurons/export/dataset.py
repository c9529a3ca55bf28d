"""A folder that is a data set of the Hugging Face hub: Parquet files, and a card that describes them."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from huggingface_hub import DatasetCardData

from rareneurons.conventions import ALL_MODELS
from rareneurons.errors import RunError
from rareneurons.export.columns import MEANINGS
from rareneurons.export.contents import CLAIMS, EXAMPLES, PAPER, ModelTables, Publication

DATA = "data"  # folder of the Parquet files
ABOUT = {
    EXAMPLES: "contexts in which a neuron's activation or effect is most extreme, token by token",
    "token_effects": "which rare target tokens each of these neurons helps or hurts",
    "influence": "effect of ablating each neuron of the last MLP",
    "groups": "named groups of neurons, each with an order",
    "neurons": "properties and known types of every neuron",
    CLAIMS: "verdict on each claim, with the numbers behind it",
}


def write_dataset(found: ModelTables, publication: Publication, folder: Path) -> list[Path]:
    """Write a model's tables as a data set.

    ``datasets.load_dataset(folder, name)`` opens a table by its name, ``top_examples`` without a name, and so does
    ``pandas.read_parquet(folder/data/<name>.parquet)``.

    Args:
        found: the tables.
        publication: who publishes, under which licence.
        folder: is made; files of the same names are replaced.

    Returns:
        The files; the card is the last.

    Raises:
        RunError: a table has a column whose meaning is not known.
    """
    (folder / DATA).mkdir(parents=True, exist_ok=True)
    files = []
    for name, table in found.tables.items():
        files.append(folder / DATA / f"{name}.parquet")
        table.to_parquet(files[-1], index=False)
    files.append(folder / "README.md")
    files[-1].write_text(card(found, publication), encoding="utf-8")
    return files


def card(found: ModelTables, publication: Publication) -> str:
    """The data set's card: a header in YAML and a page in Markdown.

    Raises:
        RunError: a column has no known meaning.
    """
    title = f"Rare-token neurons of {found.name.model}"
    configs = [
        {"config_name": name, "data_files": f"{DATA}/{name}.parquet"} | ({"default": True} if name == EXAMPLES else {})
        for name in found.tables
    ]
    header = DatasetCardData(
        license=publication.licence,
        pretty_name=title,
        tags=["interpretability", "neurons", "rare-tokens", "rareneurons"],
        configs=configs,
    )
    parts = [f"---\n{header.to_yaml()}\n---", f"# {title}", _introduction(found, publication), _verdicts(found)]
    parts += [_described(name, table) for name, table in found.tables.items()]
    parts.append(_table(["how it was made", "value"], found.provenance.items()))
    return "\n\n".join(part for part in parts if part) + "\n"


def _introduction(found: ModelTables, publication: Publication) -> str:
    layer = int(found.tables["influence"]["layer"].iloc[0])
    return (
        f"Neurons of the last MLP (layer {layer}) of the model {found.name.model}, checkpoint {found.name.checkpoint}, "
        "and what ablating them does to the prediction of rare tokens. They were computed by rareneurons, "
        f"which reproduces [*Distributed Specialization: Rare-Token Neurons in Large Language Models*]({PAPER})"
        " with controls.\n\n"
        f"Run `{found.run}`, exported on {publication.made:%Y-%m-%d} by {publication.creator} with {publication.code}. "
        "Texts are excerpts of the run's corpus, so the licence of this corpus applies to them, too."
    )


def _verdicts(found: ModelTables) -> str:
    claims = found.tables[CLAIMS]
    shown = claims[claims["model"] != ALL_MODELS]
    rows = [(row.claim, row.verdict, row.sentence) for row in shown.itertuples()]
    return f"## Verdicts\n\n{_table(['claim', 'verdict', 'in words'], rows)}" if rows else ""


def _described(name: str, table: pd.DataFrame) -> str:
    unknown = [column for column in table.columns if column not in MEANINGS]
    if unknown:
        raise RunError(
            f"table {name}: found the column {unknown[0]!r}, which the data set's card cannot explain; add it to "
            "export/columns.py"
        )
    schema = pa.Schema.from_pandas(table, preserve_index=False)
    rows = [
        (f"`{field.name}`", str(field.type).replace("large_string", "string"), MEANINGS[field.name]) for field in schema
    ]
    return f"## {name}\n\n{ABOUT[name]}: {len(table)} rows.\n\n{_table(['column', 'type', 'meaning'], rows)}"


def _table(heading: list[str], rows: Any) -> str:
    """A table in Markdown."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
