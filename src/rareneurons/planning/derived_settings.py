"""Settings that several rules derive from a validated configuration."""

from collections.abc import Mapping
from typing import Any

from rareneurons.conventions import SHUFFLED_PREFIX
from rareneurons.planning.configuration import checkpoints_of


def condition_pair(config: Mapping[str, Any]) -> list[str]:
    """The condition that the claims are about, and the one that it is compared with."""
    return [config["groups"]["condition"], config["groups"]["contrast"]]


def all_conditions(config: Mapping[str, Any]) -> list[str]:
    """Every condition, then the pair's two with shuffled labels."""
    names = [entry["name"] for entry in config["rows"]["conditions"]]
    return [*names, *(f"{SHUFFLED_PREFIX}{name}" for name in condition_pair(config))]


def middle_top(config: Mapping[str, Any]) -> int:
    """How many top neurons figures and turnover show: the middle one of ``regimes.tops``."""
    tops = sorted(config["regimes"]["tops"])
    return tops[len(tops) // 2]


def claim_bounds(config: Mapping[str, Any]) -> dict[str, Any]:
    """What verdicts depend on beside the tables."""
    return config["claims"] | {
        "flatness": config["regimes"]["flatness"],
        "excess": config["regimes"]["excess"],
        "plateau_alpha": config["regimes"]["alpha"],
        "permutations": config["dynamics"]["permutations"],
    }


def replicate_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Model -> what it repeats with another seed, of the models whose entry says so."""
    return {model["name"]: model["replicate_of"] for model in config["models"] if "replicate_of" in model}


def trained_models(config: Mapping[str, Any]) -> list[str]:
    """Names of the models that the workflow trains."""
    return [model["name"] for model in config["models"] if model["source"] == "train"]


def has_trained_models(config: Mapping[str, Any]) -> bool:
    """Whether the workflow trains a model."""
    return bool(trained_models(config))


def has_several_checkpoints(config: Mapping[str, Any]) -> bool:
    """Whether a model has more than one checkpoint."""
    return any(len(checkpoints_of(model)) > 1 for model in config["models"])


def has_other_layers(config: Mapping[str, Any]) -> bool:
    """Whether neurons of other layers than the last are ablated, too."""
    return bool(config["other_layers"]["layers"])


def has_firmness(config: Mapping[str, Any]) -> bool:
    """Whether verdicts are computed under any choice that ought not to matter."""
    wanted = config["firmness"]
    others = set(wanted["references"]) - {config["influence"]["reference"]}
    return bool(others) or any(value for key, value in wanted.items() if key != "references")


def always(_config: Mapping[str, Any]) -> bool:
    """For what every run has."""
    return True
