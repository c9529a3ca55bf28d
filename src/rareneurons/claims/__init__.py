"""Verdicts per claim and model, and over models: decided first, then put into words.

A claim's rule is a function of tables, view and bounds that returns a decision: a verdict and numbers, without words.
The rules are ``plateau`` (C1, C2, P1b, P2), ``selectivity`` (C8), ``dimension`` (C3), ``clusters`` (C4), ``routing``
(C5), ``course`` (C6), ``tails`` (C7), ``known_types`` (S1) and ``coactivation`` (P1a). ``over_models`` combines a
claim's decisions, and ``premise`` applies the verdict on C8. ``verdicts`` has the register of claims and applies them.
``sentences`` has all English, and ``results_section`` lays it out.

``view`` says which neurons, controls, rows and documents are meant, and looks numbers up. All rules use ``decision``,
``interval`` and ``requirements`` (what would decide an undecided claim). Some of them share ``below_controls`` and
``over_training``.

A new claim requires a module with its rule, an entry in ``verdicts.CLAIMS`` and its wording in ``sentences.WORDING``.
"""

from rareneurons.callable_package import make_callable
from rareneurons.claims.bounds import Bounds
from rareneurons.claims.decision import Decision
from rareneurons.claims.results_section import claims_markdown
from rareneurons.claims.sentences import WORDING
from rareneurons.claims.verdicts import CLAIMS, decide, decisions_by_model
from rareneurons.claims.view import View

TITLES = {claim.name: WORDING[claim.name].title for claim in CLAIMS}

__all__ = ["CLAIMS", "TITLES", "Bounds", "Decision", "View", "claims_markdown", "decide", "decisions_by_model"]
make_callable(__name__)
