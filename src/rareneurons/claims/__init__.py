"""Verdict per claim and model, and over models, with the number behind it and the rule in words.

``verdicts`` applies the rules: ``plateau`` (C1, C2), ``dimension`` (C3), ``clusters`` (C4), ``routing`` (C5),
``course`` (C6) and ``tails`` (C7), each of which makes a finding; ``over_models`` sums them up, ``results_section``
writes them down. ``bounds``, ``measured``, ``findings`` and ``needs`` (what an undecided claim lacks) are what all of
them stand on, ``matched`` and ``over_training`` what two of them share.
"""

from rareneurons.claims.bounds import Bounds
from rareneurons.claims.results_section import claims_markdown
from rareneurons.claims.verdicts import CLAIMS, decide

__all__ = ["CLAIMS", "Bounds", "claims_markdown", "decide"]
