"""Numbers that verdicts rest on: looked up, held against controls, in words."""

from collections.abc import Mapping

import pandas as pd

from rareneurons.claims.bounds import Claim
from rareneurons.tables import PLATEAU_TEST, last_checkpoints


def last_number(group: str, measure: str, model: str, table: pd.DataFrame, condition: str) -> pd.Series | None:
    """The number at the model's last checkpoint; None where that has none, whatever earlier ones have."""
    last = last_checkpoints(table[table["model"] == model])
    found = last[(last["condition"] == condition) & (last["group"] == group) & (last["measure"] == measure)]
    return None if found.empty else found.iloc[0]


def last_number_or_fixed(claim: Claim, model: str, table: pd.DataFrame, condition: str) -> pd.Series | None:
    """Where no curve with a plateau fits, there still is the head by the authors' fixed cuts."""
    number = last_number(claim.group, claim.measure, model, table, condition)
    return last_number(f"fixed_{claim.group}", claim.measure, model, table, condition) if number is None else number


def plateau_test(model: str, tables: Mapping[str, pd.DataFrame], condition: str) -> pd.Series | None:
    """Whether there is a plateau among the boost neurons: 1 or 0, with the p of the head's departure."""
    return last_number("boost", PLATEAU_TEST, model, tables["regimes"], condition)


def not_a_regime(model: str, tables: Mapping[str, pd.DataFrame], condition: str) -> str:
    """What to say of the plateau neurons where the test finds no plateau; empty where it does."""
    test = plateau_test(model, tables, condition)
    if test is None or test["value"] == 1:
        return ""
    return "; the plateau test finds no plateau, so the group is the head of the curve and not a regime of its own"


def below_controls(number: pd.Series, null: pd.Series, difference: pd.Series, alpha: float, reduction: float) -> str:
    """Is a measure below its matched controls: by adjusted p for a yes; a no must exclude the ``reduction``."""
    if number["q_value"] <= alpha and difference["value"] < 0:
        return "supported"
    smallest = reduction * null["value"]
    # A small group has few possible values: where even a relevant reduction would be common, no says nothing.
    could_be_seen = null["value"] - smallest < null["ci_low"]
    none = difference["ci_low"] > -smallest and difference["ci_high"] >= 0
    return "contradicted" if could_be_seen and none else "undecided"


def with_interval(number: pd.Series) -> str:
    """Value and interval in words."""
    return f"{number['value']:.2g} (95 % interval {number['ci_low']:.2g} to {number['ci_high']:.2g})"
