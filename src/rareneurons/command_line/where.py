"""``rareneurons where``: neurons and tokens of one text."""

from argparse import Namespace

from rareneurons.command_line.models import opened
from rareneurons.inspection import where


def run(given: Namespace) -> int:
    """Print one line per token, then its neurons."""
    table = where(opened(given), given.text, given.top)
    for (_, token, loss), rows in table.groupby(["position", "token", "loss"], sort=False):
        neurons = ", ".join(f"{row.neuron} {row.delta_loss:+.4f}" for row in rows.itertuples())
        print(f"{token!s:<20} loss {loss:6.3f}   {neurons}")
    print(
        f"each token's loss, and neurons of layer {table['layer'].iloc[0]} with what ablating them adds to it, in nats"
    )
    return 0
