"""Settings that several rules derive from the configuration."""

import pytest

from rareneurons.planning import derived_settings

CONFIG = {
    "groups": {"condition": "rare", "contrast": "common"},
    "rows": {"conditions": [{"name": "rare"}, {"name": "common"}, {"name": "bottom-half"}]},
    "regimes": {"tops": [100, 10, 33], "flatness": 0.5, "excess": 1.5, "alpha": 0.01},
    "claims": {"alpha": 0.05, "power": 0.8},
    "dynamics": {"permutations": 999},
    "other_layers": {"layers": []},
    "models": [
        {"name": "trained", "source": "train", "checkpoints": [0, 16]},
        {"name": "given", "source": "local", "folders": {"main": "there"}},
    ],
}


def test_conditions():
    assert derived_settings.condition_pair(CONFIG) == ["rare", "common"]
    assert derived_settings.all_conditions(CONFIG) == [
        *("rare", "common", "bottom-half"),
        *("shuffled_rare", "shuffled_common"),
    ]


@pytest.mark.parametrize(("tops", "middle"), [([100, 10, 33], 33), ([5, 10], 10), ([7], 7)])
def test_middle_top(tops, middle):
    assert derived_settings.middle_top({"regimes": {"tops": tops}}) == middle


def test_claim_bounds_are_the_claims_own_and_those_of_the_tests_before():
    expected = {"alpha": 0.05, "power": 0.8, "flatness": 0.5, "excess": 1.5, "plateau_alpha": 0.01, "permutations": 999}
    assert derived_settings.claim_bounds(CONFIG) == expected


def test_what_a_configuration_has():
    given = CONFIG | {"models": CONFIG["models"][1:]}
    assert derived_settings.trained_models(CONFIG) == ["trained"]
    for condition in (derived_settings.has_trained_models, derived_settings.has_several_checkpoints):
        assert condition(CONFIG)
        assert not condition(given)
    assert not derived_settings.has_other_layers(CONFIG)
    assert derived_settings.has_other_layers(CONFIG | {"other_layers": {"layers": "all"}})
    assert derived_settings.always({})
