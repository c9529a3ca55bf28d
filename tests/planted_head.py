"""A small transformer built by hand: one head tells chosen last-MLP neurons that the token before was a marked one.

``python tests/planted_head.py`` counts in how many of 20 seeds that head is named, and in how many of 60 seeds without
it nothing is, with heads screened.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from rareneurons.attention.estimates import AttentionEvidence, AttentionSettings, attention_estimates
from rareneurons.groups import ControlledGroup, ControlledGroups
from rareneurons.models.architectures import Architecture, architecture_of
from rareneurons.tables import CheckpointName, rows_of
from rareneurons.tokens import Blocks

WORDS, WIDTH, LENGTH, HEADS, NEURONS = 40, 64, 24, 4, 96
MARKED = np.arange(1, 7)
CHOSEN = np.arange(5, 15)
HEAD = (0, 2)  # layer, head
# Of eight heads up to four become candidates, one may be added as the strongest of its layer, and two are sampled.
SCREENED = AttentionSettings(10, 8, 0, 1, 300, 2, 0.05, candidates=2, sample=2, sign_draws=2)
# Coordinates of the residual stream: the mark, the message, codes of a position and of the one before, all else.
MARK, MESSAGE, HERE, BEFORE = 0, 1, slice(2, 16), slice(16, 30)


def planted_model(seed: int, with_head: bool) -> Architecture:
    """The model; without the head, an ordinary random one is in its place.

    Ordinary heads read everything, the mark too, and write everywhere but into the message, which chosen neurons read.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=WORDS,
                n_positions=LENGTH,
                n_embd=WIDTH,
                n_inner=NEURONS,
                n_layer=2,
                n_head=HEADS,
                bos_token_id=0,
                eos_token_id=0,
            )
        )
        for name, weight in model.named_parameters():
            if weight.ndim == 2 and not name.endswith(("wte.weight", "wpe.weight")):
                weight.normal_(std=0.2)
        base = model.transformer
        base.wte.weight.normal_(std=0.5)
        base.wte.weight[:, :30] = 0
        base.wte.weight[MARKED, MARK] = 4
        codes = torch.nn.functional.normalize(torch.randn(LENGTH, 14), dim=1) * 4
        base.wpe.weight.zero_()
        base.wpe.weight[:, HERE] = codes
        base.wpe.weight[1:, BEFORE] = codes[:-1]
        for block in base.h:
            block.attn.c_proj.weight[:, MESSAGE] = 0
            block.mlp.c_proj.weight[:, MESSAGE] = 0
            block.mlp.c_fc.weight[MESSAGE] = 0
        base.h[-1].attn.c_attn.weight[MESSAGE] = 0
        base.h[-1].mlp.c_fc.weight[MESSAGE, CHOSEN] = 2
        if with_head:
            _plant(base.h[HEAD[0]].attn)
    return architecture_of(model.eval().requires_grad_(False))


def _plant(attention: torch.nn.Module) -> None:
    """Queries read the code of the position before, keys their own, values the mark; the output is the message."""
    width = WIDTH // HEADS
    query, key, value = (
        slice(part * WIDTH + HEAD[1] * width, part * WIDTH + (HEAD[1] + 1) * width) for part in range(3)
    )
    for columns in (query, key, value):
        attention.c_attn.weight[:, columns] = 0
    rows = torch.arange(14)
    attention.c_attn.weight[torch.arange(WIDTH)[BEFORE], query.start + rows] = 4
    attention.c_attn.weight[torch.arange(WIDTH)[HERE], key.start + rows] = 4
    attention.c_attn.weight[MARK, value.start] = 1
    output = slice(HEAD[1] * width, (HEAD[1] + 1) * width)
    attention.c_proj.weight[output] = 0
    attention.c_proj.weight[HEAD[1] * width, MESSAGE] = 1


def planted_text(seed: int, n_documents: int = 30, n_discovery: int = 0) -> tuple[Blocks, pd.DataFrame]:
    """Random tokens, and rows: ``rare`` right after a marked token, as many ``common`` ones elsewhere.

    The first ``n_discovery`` documents are discovery documents, the others are held out.
    """
    rng = np.random.default_rng(seed)
    tokens = rng.integers(1, WORDS, size=(n_documents, LENGTH)).astype(np.int32)
    tokens[:, 0] = 0
    blocks = Blocks(tokens, np.full(n_documents, LENGTH, dtype=np.int32), np.arange(n_documents))
    block, position = (each.ravel() for each in np.mgrid[:n_documents, 3 : LENGTH - 1])
    rows = pd.DataFrame({"document": block, "block": block, "position": position})
    rows["split"] = np.where(rows["document"] < n_discovery, "discovery", "heldout")
    rows["input"], rows["target"] = tokens[block, position], tokens[block, position + 1]
    rows["in_rare"] = np.isin(tokens[block, position - 1], MARKED)
    rows["in_common"] = ~rows["in_rare"] & (
        rng.random(len(rows)) < rows["in_rare"].mean() / (1 - rows["in_rare"].mean())
    )
    return blocks, rows[rows["in_rare"] | rows["in_common"]].reset_index(drop=True)


def planted_groups(seed: int, n_controls: int = 200) -> ControlledGroups:
    """The chosen neurons, with controls that differ from them only in that they do not read the message."""
    rng = np.random.default_rng(seed)
    others = np.setdiff1d(np.arange(NEURONS), CHOSEN)
    drawn = [np.stack([rng.choice(others, len(CHOSEN), replace=False) for _ in range(n_controls)]) for _ in range(2)]
    return {"plateau": ControlledGroup(CHOSEN, dict(zip(("random", "matched"), drawn, strict=True)))}


def named_heads(seed: int, with_head: bool, alpha: float = 0.05) -> tuple[list[tuple[int, int]], int]:
    """Heads that route by mean ablation of single heads, and the number of heads that the screen left to be ablated."""
    blocks, rows = planted_text(seed, n_documents=60, n_discovery=30)
    discovery, heldout = (rows[rows["split"] == split].reset_index(drop=True) for split in ("discovery", "heldout"))
    evidence = AttentionEvidence(
        CheckpointName("planted", "step1"),
        ("rare", "common"),
        heldout,
        discovery=discovery,
        architecture=planted_model(seed, with_head),
        blocks=blocks,
    )
    settings = replace(SCREENED, alpha=alpha)
    heads = attention_estimates(evidence, planted_groups(seed), settings, np.random.default_rng(seed)).products["heads"]
    plain, share = (
        rows_of(heads[heads["condition"] == "rare-common"], name, "mean", against=against).set_index(["layer", "head"])
        for name, against in (("selectivity", ""), ("routing_share", "matched"))
    )
    routes = (plain["value"] > 0) & (plain["q_value"] <= alpha) & (share["ci_low"] > 0) & (share["p_value"] <= alpha)
    return list(share.index[routes]), len(share)


def main() -> None:
    """Count."""
    planted = [named_heads(seed, True, alpha=0.01)[0] for seed in range(20)]
    without = [named_heads(1000 + seed, False)[0] for seed in range(60)]
    alone = sum(named == [HEAD] for named in planted)
    print(f"planted head named in {sum(HEAD in named for named in planted)} of {len(planted)} seeds, alone in {alone}")
    print(f"without it nothing is named in {sum(named == [] for named in without)} of {len(without)} seeds")


if __name__ == "__main__":
    main()
