"""A number with its interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rareneurons.stats import NORMAL_95

NAN = float("nan")


@dataclass(frozen=True)
class Interval:
    """A number with its 95 % interval; NaN where it is not known."""

    value: float = NAN
    ci_low: float = NAN
    ci_high: float = NAN

    @classmethod
    def of(cls, row: pd.Series) -> Interval:
        """The number of a row of a measure's table."""
        return cls(float(row["value"]), float(row["ci_low"]), float(row["ci_high"]))

    def minus(self, amount: float) -> Interval:
        """The number and both ends of its interval, less a constant."""
        return Interval(self.value - amount, self.ci_low - amount, self.ci_high - amount)

    def over(self, amount: float) -> Interval:
        """The number and both ends of its interval, over a positive constant."""
        return Interval(self.value / amount, self.ci_low / amount, self.ci_high / amount)

    @property
    def standard_error(self) -> float:
        """The standard error that corresponds to the wider half of the interval."""
        return max(self.ci_high - self.value, self.value - self.ci_low) / NORMAL_95

    @property
    def is_known(self) -> bool:
        """Whether value and interval are finite."""
        return bool(np.isfinite([self.value, self.ci_low, self.ci_high]).all())


UNKNOWN = Interval()


def null_spread(row: pd.Series | Mapping[str, float]) -> float:
    """Standard deviation of a normal distribution with the central 95 % of a row's null draws."""
    return float(row["null_high"] - row["null_low"]) / (2 * NORMAL_95)
