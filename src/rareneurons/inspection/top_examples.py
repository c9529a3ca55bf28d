"""What neurons do in which texts, token by token, and which rare tokens they help."""

from collections.abc import Iterable
from functools import partial

import torch

from rareneurons.examples.tables import EXAMPLES, Examples, checkpoint_examples
from rareneurons.examples.windows import Ablation
from rareneurons.inspection.effects import reference_of, traced
from rareneurons.inspection.opening import OpenModel
from rareneurons.inspection.sizes import DEFAULT, Sizes
from rareneurons.inspection.texts import PAIR, BandOfTypes, Counts, Question, Texts, chosen_neurons, chosen_rows
from rareneurons.tokens import visible_tokens


def examples(
    model: OpenModel,
    texts: Texts,
    neurons: Iterable[int],
    rare: BandOfTypes = "paper_rare",
    common: BandOfTypes = "paper_common",
    top: int = EXAMPLES,
    counts: Counts = None,
    sizes: Sizes = DEFAULT,
    seed: int = 0,
    progress: bool = True,
) -> Examples:
    """Where neurons of the last MLP are most active and matter most, token by token, and which rare tokens they help.

    The examples are held-out rows, at most one per document; an ablated neuron is held at its mean (docs/methods.md).

    Args:
        model: an open model with a tokenizer.
        texts: as for :func:`influence`.
        neurons: indices of neurons.
        rare: as for :func:`influence`. The effects by target token are those of the rare rows.
        common: as for :func:`influence`.
        top: examples per neuron and kind, at most.
        counts: as for :func:`influence`.
        sizes: how much is computed.
        seed: of every random draw.
        progress: whether bars are shown.

    Returns:
        Two tables, ``top_examples`` and ``token_effects``; see :class:`Examples`.

    Raises:
        CheckpointError: the model cannot be used.
        CorpusError: the texts or counts cannot be used, or are too few, or there is no tokenizer.
        ConfigurationError: an index is no neuron of the layer, or occurs twice.

    Examples:
        >>> bands = {"rare": (0.5, 1), "common": (0, 0.5)}
        >>> shown = rareneurons.examples(open_model, texts, [3, 5], **bands, top=2, sizes=few, progress=False)
        >>> best = shown.top_examples.query("neuron == 3 and kind == 'helps_most' and rank == 1").iloc[0]
        >>> best["window_text"][best["window_row"] + 1] == best["target_text"]
        True
        >>> list(shown.token_effects.columns[5:8])
        ['condition', 'split', 'target']
    """
    question = Question(rare, common, counts, sizes, seed)
    chosen, tokenizer = chosen_neurons(model, neurons), model.needed_tokenizer
    looked = traced(model, chosen_rows(model, texts, question), question, progress)
    ablation = Ablation(
        looked.layer.to(looked.device, torch.float32),
        reference_of(looked),
        memory_bytes=int(sizes.memory_gib * 2**30),
    )
    return checkpoint_examples(
        model.name,
        model.architecture,
        ablation,
        looked.trace,
        looked.rows.blocks,
        looked.rows.rows,
        chosen,
        PAIR[0],
        partial(visible_tokens, tokenizer),
        sizes.batch_size,
        top,
        looked.progress("examples"),
    )
