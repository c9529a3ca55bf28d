"""Spectra of a group's weight rows, of the groups chosen on other documents, and of its controls."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rareneurons.groups import ControlledGroup
from rareneurons.spectra.measures import correlation_eigenvalues, why_no_spectrum


@dataclass(frozen=True)
class GroupSpectra:
    """Eigenvalues of one matrix, largest first: of a group's n rows, and of the groups that it is compared with.

    ``own`` (n,): of the group. ``redrawn`` (B, n): of the groups that resampled discovery documents choose instead.
    ``controls``: kind -> (m, n), of the control groups; ``permuted`` (m, n): of the permuted ones, which hold
    ``share_permuted`` of the group's neurons. ``width``: d, the length of a row. Where a neuron's weights are
    constant, the eigenvalues are NaN. ``reason`` says why ``own`` is NaN; it is empty otherwise.
    """

    own: np.ndarray
    redrawn: np.ndarray
    controls: Mapping[str, np.ndarray]
    width: int
    reason: str
    permuted: np.ndarray
    share_permuted: float = float("nan")

    @property
    def n(self) -> int:
        """Number of neurons in the group."""
        return len(self.own)


def group_spectra(rows: np.ndarray, group: ControlledGroup) -> GroupSpectra:
    """Spectra of a group, of its redrawn groups and of its control groups.

    Args:
        rows: (N, d) as :func:`standard_rows` returns them, one row per neuron.
        group: n neurons. Redrawn groups of another size than n are left out.
    """
    n, reason = len(group.members), why_no_spectrum(rows[group.members])
    if reason:
        none = np.empty((0, n))
        return GroupSpectra(np.full(n, np.nan), none, dict.fromkeys(group.controls, none), rows.shape[1], reason, none)
    redrawn = np.array([drawn for drawn in group.redrawn if len(drawn) == n], dtype=np.int64).reshape(-1, n)
    controls = {kind: correlation_eigenvalues(rows, drawn) for kind, drawn in group.controls.items()}
    own = correlation_eigenvalues(rows, group.members[None])[0]
    permuted = correlation_eigenvalues(rows, group.permuted.reshape(-1, n))
    spectra = correlation_eigenvalues(rows, redrawn), controls, rows.shape[1], "", permuted, group.share_permuted
    return GroupSpectra(own, *spectra)
