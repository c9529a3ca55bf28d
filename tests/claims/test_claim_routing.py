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
        ({"high": 0.049}, "supported"),  # 0.49 of a mean head's effect
        ({"high": 0.051}, "undecided"),  # routing by half of it is not excluded
        ({"high": 0.051, "heads": 1}, "contradicted"),
        ({"high": 0.049, "heads": 1}, "supported"),  # found, but too small to be dedicated
        ({"high": 0.049, "effect": 0.05}, "undecided"),
        ({"value": np.nan, "high": 0.01, "reason": "2 heads reach"}, "undecided"),
        ({"high": np.nan}, "undecided"),
    ],
)
def test_no_routing_counts_only_where_routing_would_be_seen(numbers, expected):
    row = routing_row(**numbers)
    assert row["verdict"] == expected
    assert row["bound"] == 0.5
    assert (row["need"] == "") == (expected != "undecided")


def test_routing_row_is_in_units_of_a_mean_head_and_says_its_numbers():
    row = routing_row(value=0.03, low=0.01, high=0.06, heads=2, p=0.004)
    assert (row["value"], row["ci_low"], row["ci_high"]) == pytest.approx((0.3, 0.1, 0.6))
    assert row["p_value"] == 0.004
    assert row["sentence"] == (
        "Contradicted for a at step16: 2 of 12 attention heads route rare rows to the 20 plateau neurons: the "
        "strongest head moves them by 0.3 of a mean head's effect beyond what common rows, matched groups and the "
        "other heads explain (95 % interval from 0.1; no head more than 0.6; 300 rows; threshold for dedicated "
        "routing: 0.5)."
    )
    for said in ("3 move these neurons more on rare rows than on common rows, and 2 route", "p = 0.004"):
        assert said in row["evidence"]
    for said in ("of 12 attention heads", "0.25 (0.2 on", "60 %"):
        assert said in row["evidence"]
    assert "no attention head routes" in routing_row()["sentence"]
    assert "an attention head may route" in routing_row(high=0.06)["sentence"]
    assert "no plateau is declared" in routing_row(plateau=(0, 0), group="top_33")["evidence"]
    assert "top_33" in routing_row(plateau=(0, 0), group="top_33")["statistic"]
    assert "2 heads reach" in routing_row(value=np.nan, reason="2 heads reach")["need"]


def test_need_of_routing():
    near = routing_row(value=0.03, low=0.0, high=0.06)["need"]
    assert near.startswith("to support it, ")
    assert "times as many documents (`attention.documents`) (" in near
    beyond = routing_row(value=0.06, low=-0.01, high=0.13, p=0.2)["need"]
    assert beyond.startswith("to contradict it, ")
    assert "(0.2 here)" in beyond
