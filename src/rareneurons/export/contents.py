"""What is exported of a model: its tables, where they come from, and who publishes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from rareneurons.tables import CheckpointName

EXAMPLES, EFFECTS = "top_examples", "token_effects"
# Tables of the last checkpoint; the claims of the run that are about this model come with them.
CHECKPOINT_TABLES = (EXAMPLES, EFFECTS, "influence", "groups", "neurons")
CLAIMS = "claims"
PAPER = "https://arxiv.org/abs/2509.21163"


@dataclass(frozen=True)
class ModelTables:
    """What a run found out about a model.

    ``run``: its name; ``name``: the model's last checkpoint; ``tables``: name -> table, all of ``CHECKPOINT_TABLES``
    and ``claims``; ``provenance``: item -> value for the run and the checkpoint, as the table ``provenance`` has them.
    """

    run: str
    name: CheckpointName
    tables: Mapping[str, pd.DataFrame]
    provenance: Mapping[str, str]


@dataclass(frozen=True)
class Publication:
    """Who publishes what how.

    ``creator``: name of a person or group; ``licence``: identifier as on the Hugging Face hub, such as ``cc-by-4.0``;
    ``code``: version and commit of the code that exports; ``made``: when, with a time zone.
    """

    creator: str
    licence: str
    code: str
    made: datetime
