"""A small model with neurons that matter for rare targets, and a text that shows it.

Marked tokens are followed by rare ones. Planted neurons of the last MLP read the mark and write what all rare tokens
have in common, so ablating them costs rare targets; all other neurons write at random.

``python tests/inspection/planted_set.py`` counts in how many of 20 seeds ``measure`` finds the planted set, and a
random one.
"""

import numpy as np
import pandas as pd
import torch
from transformers import GPT2Config, GPT2LMHeadModel

import rareneurons
from rareneurons.bands import Band, frequency_table
from rareneurons.evaluation import EvaluationRows
from rareneurons.rows import candidate_rows, draw_splits, select_rows, with_shuffled_labels
from rareneurons.tokens import Blocks

WORDS, WIDTH, LENGTH, NEURONS, DOCUMENTS = 60, 32, 24, 96, 200
MARKED, RARE, COMMON = np.arange(1, 7), np.arange(40, 60), np.arange(7, 40)
PLANTED = np.arange(5, 15)
MARK, RARENESS = 0, 1  # coordinates of the residual stream
FEW = rareneurons.Sizes(controls=100, joint_rows=300, joint_pairs=300, joint_controls=50, bootstrap=100)


def planted_model(seed: int) -> GPT2LMHeadModel:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=WORDS,
                n_positions=LENGTH,
                n_embd=WIDTH,
                n_inner=NEURONS,
                n_layer=1,
                n_head=2,
                bos_token_id=0,
                eos_token_id=0,
                tie_word_embeddings=False,
            )
        )
        block = model.transformer.h[-1]
        for weight, spread in (
            (block.mlp.c_fc.weight, 0.2),
            (block.mlp.c_proj.weight, 0.06),
            (model.lm_head.weight, 0.4),
        ):
            weight.normal_(std=spread)
        model.transformer.wte.weight.normal_(std=0.3)
        model.transformer.wte.weight[:, [MARK, RARENESS]] = 0
        model.transformer.wte.weight[MARKED, MARK] = 2
        model.lm_head.weight[RARE, RARENESS] = 1
        block.mlp.c_fc.weight[:, PLANTED], block.mlp.c_proj.weight[PLANTED] = 0, 0
        block.mlp.c_fc.weight[MARK, PLANTED] = 0.4
        block.mlp.c_proj.weight[PLANTED, RARENESS] = 0.3  # as long as the rows of other neurons
    return model


def planted_rows(seed: int) -> EvaluationRows:
    """Documents in which a marked token is followed by a rare one, as rows of a run would be."""
    rng = np.random.default_rng(seed)
    tokens = rng.choice(np.concatenate([MARKED, COMMON]), size=(DOCUMENTS, LENGTH)).astype(np.int32)
    tokens[:, 0] = 0
    after = np.isin(tokens[:, :-1], MARKED)
    tokens[:, 1:][after] = rng.choice(RARE, size=int(after.sum()))
    blocks = Blocks(tokens, np.full(DOCUMENTS, LENGTH, dtype=np.int32), np.arange(DOCUMENTS))
    bands = [Band("rare", "target", RARE), Band("common", "target", COMMON)]
    splits = draw_splits(blocks.document, 0.5, rng)
    rows = select_rows(candidate_rows(blocks), bands, splits, 400, rng)
    frequencies = frequency_table(np.bincount(tokens.ravel(), minlength=WORDS), [0], WORDS)
    return EvaluationRows(blocks, with_shuffled_labels(rows, ("rare", "common"), rng), frequencies, pd.DataFrame())


def verdicts(seed: int) -> dict[str, str]:
    """C8's verdict on the planted set, and on a random set of the other neurons."""
    others = np.setdiff1d(np.arange(NEURONS), PLANTED)
    drawn = np.random.default_rng([seed, 1]).choice(others, len(PLANTED), replace=False)
    model = rareneurons.load(planted_model(seed))
    sets = {"planted": PLANTED, "random": drawn}
    found = rareneurons.measure(model, planted_rows(seed), sets, measures=["joint"], sizes=FEW, progress=False)
    return rareneurons.claims(found).set_index("group")["verdict"].to_dict()


def main() -> None:
    """Count."""
    found = pd.DataFrame([verdicts(seed) for seed in range(20)])
    print((found == "supported").sum().to_string())


if __name__ == "__main__":
    main()
