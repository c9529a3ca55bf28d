"""How much is computed when there is no configuration."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """How much is computed. ``config.yaml`` has the same defaults and explains them.

    ``documents``: documents read, at most; ``block_length``: tokens of a document that the model reads, at most;
    ``rows_per_condition``: rows of each condition, None for as many as all conditions have (at most 10,000);
    ``batch_size``: documents per forward pass; ``memory_gib``: of the arrays as wide as the vocabulary; ``controls``:
    control groups of each kind; ``shuffles``: how often labels are shuffled; ``joint_rows``, ``joint_pairs`` and
    ``joint_controls``: rows, pairs of rows and control groups of joint ablation; ``bootstrap``: draws of documents;
    ``null_curves`` and ``power_draws``: of the plateau test; ``shifts``, ``rotations`` and ``plants``: of communities;
    ``spectrum_draws``: of the fit of a tail.
    """

    documents: int = 10_000
    block_length: int = 256
    rows_per_condition: int | None = None
    batch_size: int = 8
    memory_gib: float = 4.0
    controls: int = 1000
    shuffles: int = 200
    joint_rows: int = 2000
    joint_pairs: int = 2000
    joint_controls: int = 100
    bootstrap: int = 200
    null_curves: int = 999
    power_draws: int = 50
    shifts: int = 1000
    rotations: int = 1000
    plants: int = 100
    spectrum_draws: int = 200


DEFAULT = Sizes()
