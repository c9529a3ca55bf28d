"""C5 counts only where routing would be seen."""

import numpy as np
import pandas as pd
import pytest
from claim_tables import routing_table, row_of, tables_for


def routing_row(plateau=(1, 0), **numbers) -> pd.Series:
    tables = tables_for(["a"], plateau=plateau) | {"attention": routing_table(["a"], **numbers)}
    return row_of("C5", tables)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ({"high": 0.49}, "supported"),
        ({"high": 0.51}, "undecided"),  # routing by half of what a head does is not excluded
        ({"high": 0.49, "power": 0.79}, "undecided"),  # too few heads were ablated, or they are too uncertain
        ({"value": 0.8, "low": 0.51, "high": 0.9, "heads": 1}, "contradicted"),
        ({"value": 0.8, "low": 0.51, "high": 0.9, "heads": 1, "power": 0.1}, "contradicted"),
        ({"value": 0.8, "low": 0.49, "high": 0.9, "heads": 1}, "undecided"),  # it routes, perhaps by less than half
        ({"value": 0.8, "low": 0.51, "high": 0.9, "heads": 0}, "undecided"),  # matched groups have such heads too
        ({"high": 0.49, "heads": 1}, "supported"),  # found, but too small to be dedicated
        ({"value": np.nan, "high": 0.01, "reason": "2 heads reach"}, "undecided"),
        ({"high": np.nan}, "undecided"),
    ],
)
def test_no_routing_counts_only_where_routing_would_be_seen(numbers, expected):
    row = routing_row(**numbers)
    assert row["verdict"] == expected
    assert row["bound"] == 0.5
    assert (row["need"] == "") == (expected != "undecided")


def test_routing_row_says_its_numbers():
    row = routing_row(value=0.8, low=0.6, high=0.95, heads=2, p=0.004)
    assert (row["value"], row["ci_low"], row["ci_high"], row["power"]) == pytest.approx((0.8, 0.6, 0.95, 0.9))
    assert row["p_value"] == 0.004
    assert row["sentence"] == (
        "Contradicted for a at step16: 2 of 12 ablated attention heads route rare rows to the 20 plateau neurons: the "
        "largest share of a head's effect on them that is routing is 80 %, beyond what common rows, matched groups and "
        "the other heads explain (95 % interval from 60 %; upper bound over all ablated heads 95 %; 300 rows; "
        "threshold for dedicated routing: 50 %)."
    )
    for said in (
        "12 of 30 attention heads were ablated",
        "more on rare rows than on common rows: 3; heads that route: 2, p = 0.004",
        "power to find routing that doubles a head's effect 90 %",
        "of 10 heads drawn at random from those that the screening did not name, 0 % route",
        "at most 26 % of the heads that were not ablated do",
        "0.25 (0.2 on",
        "60 %",
    ):
        assert said in row["evidence"]
    assert "the screening" not in routing_row(missed=None)["evidence"]
    assert "no attention head routes" in routing_row()["sentence"]
    assert "an attention head may route" in routing_row(high=0.6)["sentence"]
    assert "no plateau is declared" in routing_row(plateau=(0, 0), group="top_33")["evidence"]
    assert "top_33" in routing_row(plateau=(0, 0), group="top_33")["statistic"]
    assert "2 heads reach" in routing_row(value=np.nan, reason="2 heads reach")["need"]


def test_need_of_routing():
    near = routing_row(value=0.2, low=-0.1, high=0.6)["need"]
    assert near.startswith("to support it, ")
    assert "times as many documents (`attention.documents`) (" in near
    beyond = routing_row(value=0.7, low=0.4, high=0.9, p=0.2)["need"]
    assert beyond.startswith("to contradict it, ")
    assert "(0.2 here)" in beyond
    assert "to support it, a power of 80 % (50 % here)" in routing_row(power=0.5)["need"]
