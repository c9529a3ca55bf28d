"""C1 and C2 follow the plateau test and its power."""

import numpy as np
import pytest
from claim_tables import BOUNDS, tables_for

from rareneurons.claims import decide


def verdicts(**given) -> dict[str, str]:
    return decide(tables_for(["a"], **given), BOUNDS).set_index("claim")["verdict"].to_dict()


@pytest.mark.parametrize(
    ("plateau", "power", "expected"),
    [
        ((1, 0), (0.1, 0.9), ("supported", "supported")),
        ((0, 1), (0.9, 0.1), ("contradicted", "contradicted")),
        ((0, 0), (0.79, 0.79), ("undecided", "undecided")),
        ((0, 0), (0.8, 0.2), ("contradicted", "undecided")),
        ((1, 1), (0.0, 0.0), ("supported", "contradicted")),
        ((0, 0), (np.nan, np.nan), ("undecided", "undecided")),
    ],
)
def test_plateau_claims_follow_the_test_and_its_power(plateau, power, expected):
    found = verdicts(plateau=plateau, power=power)
    assert (found["C1"], found["C2"]) == expected


def test_plateau_rows_say_rule_p_and_power():
    row = decide(tables_for(["a"], power=(0.3, 0.9)), BOUNDS).set_index("claim").loc["C1"]
    assert row["bound"] == 0.5
    assert row["p_value"] == 0.4
    assert "power to find a planted one is 30%, below the 80%" in row["sentence"]
    assert "at most 0.5 of the power law's" in row["reason"]
