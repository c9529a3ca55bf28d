"""Verdict per claim and model, with the number behind it and the rule in words.

``verdicts`` applies the rules: ``plateau`` (C1, C2), ``dimension`` (C3), ``clusters`` (C4), ``routing`` (C5),
``course`` (C6) and ``tails`` (C7). ``bounds``, ``measured`` and ``verdict_rows`` are what all of them stand on,
``over_training`` what the last two do.
"""

from rareneurons.claims.bounds import Bounds
from rareneurons.claims.verdicts import CLAIMS, claims_markdown, decide

__all__ = ["CLAIMS", "Bounds", "claims_markdown", "decide"]
