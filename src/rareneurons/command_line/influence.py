"""``rareneurons influence``: the top neurons on the terminal, all of them in a file."""

from argparse import Namespace
from pathlib import Path

from rareneurons.command_line.models import opened
from rareneurons.errors import ConfigurationError
from rareneurons.inspection import influence
from rareneurons.inspection.texts import BandOfTypes

WRITERS = {".parquet": "to_parquet", ".csv": "to_csv"}


def run(given: Namespace) -> int:
    """Compute, write and print."""
    if given.out and given.out.suffix not in WRITERS:
        raise ConfigurationError(f"--out: found {str(given.out)!r}, expected a name that ends in .parquet or .csv")
    bands = band_of(given.rare), band_of(given.common)
    table = influence(
        opened(given), given.texts, *bands, counts=given.counts, seed=given.seed, progress=not given.quiet
    )
    if given.out:
        Path(given.out).parent.mkdir(parents=True, exist_ok=True)
        getattr(table, WRITERS[given.out.suffix])(given.out, index=False)
    heldout = table[table["split"] == "heldout"].set_index(["condition", "neuron"])["mean_delta_loss"].unstack(0)
    top = heldout[["rare", "common"]].sort_values("rare", ascending=False).head(given.top)
    print(f"{'neuron':>8} {'rare':>10} {'common':>10}")
    for neuron, row in top.iterrows():
        print(f"{neuron:>8} {row['rare']:>+10.5f} {row['common']:>+10.5f}")
    print(f"layer {table['layer'].iloc[0]}: mean change of the loss when the neuron is ablated, held-out rows, nats")
    return 0


def band_of(text: str) -> BandOfTypes:
    """``0.5,1`` as two rank fractions, anything else as the name of a preset."""
    parts = text.split(",")
    if len(parts) != 2:
        return text
    try:
        low, high = (part.strip() if part.strip() == "elbow" else float(part) for part in parts)
    except ValueError:
        raise ConfigurationError(
            f"band: found {text!r}; expected a preset, or two rank fractions such as 0.5,1"
        ) from None
    return low, high
