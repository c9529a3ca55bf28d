"""How firm each verdict is: the same verdicts under other choices that ought not to matter."""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from rareneurons.claims import CLAIMS, Bounds, Decision, View, decide, decisions_by_model
from rareneurons.claims.firmness import NOT_COMPUTED, OWN
from rareneurons.comparison.choices import MEASURED_TABLES, NOT_RECOMPUTED, Choice, untouched
from rareneurons.dynamics.untrained import UNTRAINED
from rareneurons.rows import LEAST_DOCUMENTS

NUMBERS = ["statistic", "value", "ci_low", "ci_high", "p_value", "n", "power", "verdict"]
COLUMNS = ["claim", "model", "choice", *NUMBERS, "own_verdict", "changed", "reason"]
TOO_FEW = f"a condition has fewer than {LEAST_DOCUMENTS} documents in a split"
PRIMARY = [claim.name for claim in CLAIMS if not claim.secondary]


def firmness_of_verdicts(
    tables: Mapping[str, pd.DataFrame], measured: pd.DataFrame, choices: Sequence[Choice], own: View, bounds: Bounds
) -> pd.DataFrame:
    """Every claim's verdict for every model, by the run's own choices and by each of the others.

    Args:
        tables: as ``claims.decide`` takes them.
        measured: as ``firmness_measures`` returns it, all models.
        choices: those of the kind ``firmness``.
        own: the run's own view.
        bounds: decision bounds.

    Returns:
        ``COLUMNS``, claim by claim: the choice ``OWN`` first, with the run's own verdict. Where a choice cannot be made
        for a claim, the verdict is ``NOT_COMPUTED`` and ``reason`` says why; where a number cannot be measured under a
        choice, ``reason`` is that of the measure. ``changed``: whether the verdict is another one than the run's own.
    """
    decided = decisions_by_model(tables, own, bounds)
    frames = [decide(tables, own, bounds).assign(choice=OWN, reason="")]
    for choice in choices:
        made = tables_of_choice(choice, tables, measured)
        verdicts = decide(made, choice.view(own), bounds, kept=untouched(choice, decided))
        verdicts["reason"] = verdicts["evidence"].where(verdicts["value"].isna(), "")
        frames.append(verdicts[verdicts["claim"].isin(choice.touches)].assign(choice=choice.name))
        frames.append(pd.DataFrame(_not_computed(choice, decided, set(made["regimes"]["model"]))))
    found = pd.concat(frames, ignore_index=True)
    found = found[found["claim"].isin(PRIMARY) & found["model"].isin(decided)]
    verdict_of = found[found["choice"] == OWN].set_index(["claim", "model"])["verdict"]
    places = pd.MultiIndex.from_frame(found[["claim", "model"]])
    found = found.assign(own_verdict=verdict_of.reindex(places).to_numpy())
    found["changed"] = (found["verdict"] != found["own_verdict"]) & (found["verdict"] != NOT_COMPUTED)
    models = list(decided)
    place = [
        (PRIMARY.index(claim), models.index(model)) for claim, model in zip(found["claim"], found["model"], strict=True)
    ]
    order = sorted(range(len(place)), key=place.__getitem__)  # choices stay in their order
    return found.iloc[order][COLUMNS].reset_index(drop=True)


def tables_of_choice(
    choice: Choice, tables: Mapping[str, pd.DataFrame], measured: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """The run's tables with those that were measured under a choice in their places.

    A model whose untrained checkpoint the run does not compare with (the audit has left it out) is not compared here.
    """
    mine = measured[measured["choice"] == choice.name]
    made = {name: mine[mine["table"] == name][tables["regimes"].columns] for name in MEASURED_TABLES}
    compared = tables["dynamics"].loc[tables["dynamics"]["against"] == UNTRAINED, "model"]
    made["dynamics"] = made["dynamics"][made["dynamics"]["model"].isin(compared)]
    return dict(tables) | made


def _not_computed(
    choice: Choice, decided: Mapping[str, Mapping[str, Decision]], measured: set[str]
) -> Iterator[dict[str, object]]:
    """Rows of the claims that a choice is not made for; ``measured``: the models that it could be made for."""
    for model in decided:
        for claim in PRIMARY:
            reason = choice.why_not or NOT_RECOMPUTED.get(claim, "" if model in measured else TOO_FEW)
            if reason:
                yield {
                    **{"claim": claim, "model": model, "choice": choice.name},
                    **{"verdict": NOT_COMPUTED, "reason": reason},
                }
