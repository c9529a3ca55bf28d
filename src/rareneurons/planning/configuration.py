"""Check a configuration before any job starts: shape by the JSON schema, sense by the rules below."""

import copy
import logging
import math
import os
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError

from rareneurons.conventions import (
    ALL_MODELS,
    FIRST_POSITION,
    LAST_UNTRAINED,
    NOISE,
    SHUFFLED_PREFIX,
    checkpoint_steps,
    layers_asked_for,
)
from rareneurons.errors import ConfigurationError
from rareneurons.model_folders import branches, folders
from rareneurons.model_folders.config_file import too_long
from rareneurons.planning.local_models import refuse_local_models
from rareneurons.planning.own_files import refuse_empty_folders
from rareneurons.planning.packages import with_path

# Names beside the model folders in results/<run>/.
RESERVED_MODEL_NAMES = {
    *("inputs", "tables", "figures", "logs", "benchmarks"),
    *("claims.csv", "claims.md", "report.html", "missing.md"),
}

PATH_KEYS = {"file", "folder", "folders"}
WILDCARD = re.compile(r"\{\s*\w+\s*(,[^{}]*)?\}")
LONGEST_VALUE = 200  # characters of a value that a message repeats


def validated(config: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration that a run works with: checked, models written out, keys in a fixed order.

    Args:
        config: as Snakemake read it: an overlay alone, or over config.yaml.
        schema: JSON schema of the configuration.

    Raises:
        ConfigurationError: names the first offending key.
    """
    complete = with_defaults(config, schema)
    validate_shape(complete, schema)
    written_out = expanded(complete, folders.models_in)
    try:
        validate_sense(written_out, os.path.exists)
    except ConfigurationError as error:
        raise _of_the_default(error, set(complete) - set(config)) from None
    refuse_local_models(written_out)
    refuse_empty_folders(written_out)
    return in_fixed_order(written_out)


def _of_the_default(error: ConfigurationError, left_out: Collection[str]) -> ConfigurationError:
    """The error, which says so if it is about a key that the user left out."""
    key = re.split(r"\W", str(error), maxsplit=1)[0]
    return ConfigurationError(f"{key}: left out, and its default does not fit: {error}") if key in left_out else error


def with_defaults(config: Mapping[str, Any], shape: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with the schema's default for each key that it leaves out, in mappings inside it, too.

    Args:
        config: any mapping; what is not a mapping where one is expected stays, for :func:`validate_shape` to refuse.
        shape: JSON schema of the mapping.
    """
    complete = dict(config)
    for key, part in shape["properties"].items():
        if "default" in part:
            complete.setdefault(key, copy.deepcopy(part["default"]))
        elif "properties" in part and isinstance(complete.setdefault(key, {}), Mapping):
            complete[key] = with_defaults(complete[key], part)
    return complete


def in_fixed_order(value: Any) -> Any:
    """The same value with the keys of all mappings sorted: Snakemake takes another order for another parameter."""
    if isinstance(value, dict):
        return {key: in_fixed_order(value[key]) for key in sorted(value)}
    return [in_fixed_order(item) for item in value] if isinstance(value, list) else value


def checkpoints_of(model: Mapping[str, Any]) -> list[str]:
    """Names of a model's checkpoints; ``model`` is its entry in a validated configuration."""
    if model["source"] == "local":
        return list(model["folders"])
    if model["source"] == "gguf":
        return ["main"]
    return [checkpoint_name(step) for step in model["checkpoints"]]


def last_checkpoint_of(model: Mapping[str, Any]) -> str:
    """The checkpoint of the largest step; ``main`` only where there is no other."""
    return max(checkpoints_of(model), key=lambda name: -1 if name == "main" else int(name.removeprefix("step")))


def untrained_checkpoint_of(model: Mapping[str, Any]) -> str:
    """A model's checkpoint before training, if it has one and a later one; otherwise empty."""
    untrained = sorted(checkpoint_name(step) for step in range(LAST_UNTRAINED + 1))
    found = [name for name in untrained if name in checkpoints_of(model) and name != last_checkpoint_of(model)]
    return found[0] if found else ""


def _is_integer(_checker: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_checker: Any, value: Any) -> bool:
    return _is_integer(_checker, value) or (isinstance(value, float) and math.isfinite(value))


# JSON Schema takes 300.0 for an integer and YAML's .nan and .inf for numbers; what computes does not.
Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many({"integer": _is_integer, "number": _is_number}),
)


def _key(path: Iterable[Any]) -> str:
    key = ""
    for part in path:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
    return key or "configuration"


def _schema_message(error: ValidationError) -> str:
    where = _key(error.absolute_path)
    if error.validator in ("additionalProperties", "unevaluatedProperties"):
        known = error.schema.get("properties", {})  # type: ignore[union-attr]
        unknown = sorted({str(key) for key in error.instance} - set(known))  # type: ignore[union-attr]
        shown = ", ".join(map(_shortened, unknown))
        return f"{where}: found the unknown key {shown}; known keys are {', '.join(sorted(known))}"
    if "expected" in error.schema and error.validator in ("pattern", "oneOf", "const"):  # type: ignore[operator]
        # The schema says in words what it takes.
        expected = error.schema["expected"]  # type: ignore[index]
        return f"{where}: {_shortened(error.instance)} does not match; expected {expected}"
    if error.validator == "oneOf":
        keys = [option["required"][0] for option in error.validator_value]  # type: ignore[union-attr]
        found = [key for key in keys if key in error.instance]  # type: ignore[operator]
        return f"{where}: found {' and '.join(found) or 'neither'}; expected exactly one of {', '.join(keys)}"
    return f"{where}: {error.message.replace(repr(error.instance), _shortened(error.instance), 1)}"


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]} ..."


def validate_shape(config: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Types, ranges, required and unknown keys.

    Raises:
        ConfigurationError: names the first offending key.
    """
    errors = sorted(Validator(schema).iter_errors(config), key=lambda e: [str(p) for p in e.absolute_path])
    if errors:
        raise ConfigurationError(_schema_message(errors[0]))
    _refuse_impossible_words(config, ())


def _refuse_impossible_words(value: Any, path: tuple) -> None:
    """A name's pattern lets a line's end pass, no file's name may hold a zero byte, and no path a wildcard."""
    if isinstance(value, str) and any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise ConfigurationError(f"{_key(path)}: {_shortened(value)} holds a control character; write it without")
    if isinstance(value, str) and PATH_KEYS & set(path) and WILDCARD.search(value):
        raise ConfigurationError(
            f"{_key(path)}: {_shortened(value)} holds a word in braces, which Snakemake takes for a wildcard; rename "
            "it, or give a symbolic link with another name"
        )
    if isinstance(value, Mapping):
        for key, item in value.items():
            _refuse_impossible_words(item, (*path, key))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            _refuse_impossible_words(item, (*path, place))


def expanded(config: Mapping[str, Any], models_in: Callable[[str], Mapping[str, bool] | None]) -> dict[str, Any]:
    """The configuration with ``checkpoints: all``, ``folder``, ``leave_out`` and ``package`` written out.

    A local ``folder`` with a config.json is one release (``main``); otherwise each sub-folder that has one and is named
    as a training step is the checkpoint at that step (``step500``, ``checkpoint-500``, ``500``). A GGUF file inside a
    ``package`` gets its path.

    Args:
        config: passed :func:`validate_shape`.
        models_in: which folders lie in a folder, as :func:`rareneurons.model_folders.folders.models_in` says it.

    Raises:
        ConfigurationError: a folder is not there, holds no checkpoint, or both a model and its checkpoints; ``all``
            without a schedule, a checkpoint left out that is none, or all of them; a package that is not installed.
    """
    models = []
    for place, model in enumerate(config["models"]):
        written_out = _expanded_model(model, f"models[{place}]", models_in)
        models.append(_without_left_out(written_out, f"models[{place}]"))
    tokenizers = [with_path(entry, f"tokenizers[{place}]") for place, entry in enumerate(config["tokenizers"])]
    return {**config, "models": models, "tokenizers": tokenizers}


def _without_left_out(model: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    if model["source"] == "gguf":  # one release
        return model
    key = "folders" if model["source"] == "local" else "checkpoints"
    wanted = {checkpoint_name(step): step for step in model[key]}
    for place, step in enumerate(model.get("leave_out", [])):
        if wanted.pop(checkpoint_name(step), None) is None:
            raise ConfigurationError(
                f"{where}.leave_out[{place}]: {model['name']} has no checkpoint {step!r}; it has "
                f"{', '.join(checkpoint_name(known) for known in model[key])}"
            )
    if not wanted:
        raise ConfigurationError(f"{where}.leave_out: no checkpoint of {model['name']} is left; remove the model")
    kept = {step: model[key][step] for step in wanted} if key == "folders" else list(wanted.values())
    return {name: value for name, value in model.items() if name != "leave_out"} | {key: kept}


def _expanded_model(
    model: Mapping[str, Any], where: str, models_in: Callable[[str], Mapping[str, bool] | None]
) -> Mapping[str, Any]:
    if model.get("checkpoints") == "all":
        known = available_steps(model)
        if known is None:
            raise ConfigurationError(
                f"{where}.checkpoints: found 'all', but without `schedule` the steps of a hub model are unknown; "
                f"list the steps, or add `schedule` if it has one of {', '.join(branches.SCHEDULES)}"
            )
        return {**model, "checkpoints": sorted(known)}
    if "folder" not in model:
        return with_path(model, where)
    found = models_in(model["folder"])
    if found is None:
        raise ConfigurationError(f"{where}.folder: {model['folder']!r} is not there; give an existing folder")
    try:
        places = folders.checkpoints_among(model["folder"], found, "main" in model.get("leave_out", []))
    except ValueError as error:
        raise ConfigurationError(f"{where}.folder: {error}") from None
    unused = folders.passed_over(found)
    if unused:
        logging.getLogger(__name__).warning("%s.folder: not used in %r: %s", where, model["folder"], ", ".join(unused))
    return {key: value for key, value in model.items() if key != "folder"} | {"folders": places}


def available_steps(model: Mapping[str, Any]) -> set[int] | None:
    """Training steps of a model, or None where the configuration cannot know (a hub model without a schedule)."""
    if model["source"] == "train":
        return set(checkpoint_steps(model["training"]["steps"], model["training"]["save_every"]))
    schedule = branches.schedule_of(model)
    return None if schedule is None else set(schedule.steps)


def checkpoint_name(step: int | str) -> str:
    """``step512`` for 512, ``main`` for ``main``."""
    return step if isinstance(step, str) else f"step{step}"


def validate_sense(
    config: Mapping[str, Any],
    exists: Callable[[str], bool],
) -> None:
    """What a schema cannot say: names that must exist, bands that must have width, files that must be there.

    Args:
        config: passed :func:`validate_shape`.
        exists: whether a local file or folder exists.

    Raises:
        ConfigurationError: names the key, what was found, what is possible.
    """
    corpora = _by_name(config["corpora"], "corpora")
    tokenizers = _by_name(config["tokenizers"], "tokenizers")
    models = _by_name(config["models"], "models")
    for number, corpus in enumerate(corpora.values()):
        if corpus["source"] == "file":
            _refuse_absent(corpus["file"], f"corpora[{number}].file", exists)
        elif "folder" in corpus:
            _refuse_absent_folder(corpus["folder"], f"corpora[{number}].folder", exists)
    _refer(config["rows"]["corpus"], corpora, "rows.corpus")
    for number, tokenizer in enumerate(tokenizers.values()):
        where = f"tokenizers[{number}]"
        if tokenizer["source"] == "train":
            _refer(tokenizer["corpus"], corpora, f"{where}.corpus")
        elif tokenizer["source"] == "local":
            _refuse_absent_folder(tokenizer["folder"], f"{where}.folder", exists)
        elif tokenizer["source"] == "gguf":
            _refuse_absent(tokenizer["file"], f"{where}.file", exists)
        counts = tokenizer["counts"]
        if counts["source"] == "file":
            _refuse_absent(counts["file"], f"{where}.counts.file", exists)
        if counts["source"] == "corpus":
            _refer(counts["corpus"], corpora, f"{where}.counts.corpus")
    for number, model in enumerate(models.values()):
        _validate_model(model, f"models[{number}]", models, tokenizers, exists)
        if model["source"] == "train" and model["training"]["block_length"] < config["rows"]["block_length"]:
            limit, name = model["training"]["block_length"], f"models[{number}] ({model['name']})"
            raise ConfigurationError(too_long(config["rows"]["block_length"], limit, name))
    _validate_rows(config["rows"], config["groups"])
    alpha, null_curves = config["regimes"]["alpha"], config["regimes"]["null_curves"]
    if 2 / (null_curves + 1) > alpha:
        raise ConfigurationError(
            f"regimes.null_curves: the smallest p-value of {null_curves} curves, adjusted for two readings of a "
            f"plateau, is {2 / (null_curves + 1):.2g}, above regimes.alpha ({alpha}); expected at least "
            f"{math.ceil(2 / alpha) - 1} curves"
        )
    low, high = config["regimes"]["cuts"]
    if not low < high:
        raise ConfigurationError(f"regimes.cuts: found {low} and {high}; the first must be below the second")
    _validate_other_layers(config)


def _by_name(entries: list[Mapping[str, Any]], key: str) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for number, entry in enumerate(entries):
        if entry["name"] in found:
            raise ConfigurationError(f"{key}[{number}].name: {entry['name']!r} is used twice; names must differ")
        found[entry["name"]] = entry
    return found


def _refuse_absent(file: str, key: str, exists: Callable[[str], bool]) -> None:
    if not exists(file):
        raise ConfigurationError(f"{key}: {file!r} is not there; give an existing file")


def _refuse_absent_folder(folder: str, key: str, exists: Callable[[str], bool]) -> None:
    if not exists(folder):
        raise ConfigurationError(f"{key}: {folder!r} is not there; give an existing folder")


def _refer(name: str, known: Mapping[str, Any], key: str) -> None:
    if name not in known:
        raise ConfigurationError(f"{key}: {name!r} is not defined; defined are {', '.join(known)}")


def _validate_model(
    model: Mapping[str, Any],
    where: str,
    models: Iterable[str],
    tokenizers: Mapping[str, Mapping[str, Any]],
    exists: Callable[[str], bool],
) -> None:
    if model["name"] in RESERVED_MODEL_NAMES:
        raise ConfigurationError(f"{where}.name: {model['name']!r} is the name of a results folder; choose another")
    if model["name"] == ALL_MODELS:
        raise ConfigurationError(
            f"{where}.name: {ALL_MODELS!r} is the name for all models in claims.csv; choose another"
        )
    _refer(model["tokenizer"], tokenizers, f"{where}.tokenizer")
    if model.get("replicate_of") in (*models, ALL_MODELS):
        raise ConfigurationError(
            f"{where}.replicate_of: {model['replicate_of']!r} is a model's own name or that of all models; choose "
            "another for what the replicates have in common, which gets a row of its own in claims.csv"
        )
    if model["source"] == "train":
        if tokenizers[model["tokenizer"]]["source"] != "train":
            raise ConfigurationError(
                f"{where}.tokenizer: a model with source 'train' needs a tokenizer with source 'train'; "
                f"{model['tokenizer']!r} has source {tokenizers[model['tokenizer']]['source']!r}"
            )
        if model["hidden_size"] % model["n_heads"]:
            raise ConfigurationError(
                f"{where}.hidden_size: {model['hidden_size']} is not a multiple of n_heads ({model['n_heads']})"
            )
        experts = model.get("experts")
        if experts and experts["chosen"] > experts["number"]:
            raise ConfigurationError(
                f"{where}.experts.chosen: found {experts['chosen']}, but there are {experts['number']} experts; "
                "expected at most as many"
            )
    if model["source"] == "gguf":
        _refuse_absent(model["file"], f"{where}.file", exists)
    if model["source"] == "local":
        for checkpoint, folder in model["folders"].items():
            _refuse_absent_folder(folder, f"{where}.folders.{checkpoint}", exists)
    names = [checkpoint_name(step) for step in model.get("checkpoints", [])]
    for name in model.get("commits", {}):
        if name not in names:
            raise ConfigurationError(
                f"{where}.commits.{name}: {name} is not among `checkpoints`; those are {', '.join(names)}"
            )
    known = available_steps(model)
    if known is None:
        return
    for place, step in enumerate(model["checkpoints"]):
        if step not in known:
            listed = sorted(known)
            shown = listed if len(listed) <= 24 else [*listed[:12], "...", *listed[-3:]]
            raise ConfigurationError(
                f"{where}.checkpoints[{place}]: {model['name']} has no checkpoint at {step}; "
                f"its steps are {', '.join(map(str, shown))}"
            )


def _validate_rows(rows: Mapping[str, Any], groups: Mapping[str, Any]) -> None:
    names = [entry["name"] for entry in rows["conditions"]]
    if len(set(names)) < len(names):
        raise ConfigurationError(f"rows.conditions: names must differ; found {', '.join(names)}")
    for number, entry in enumerate(rows["conditions"]):
        _validate_condition(entry, f"rows.conditions[{number}]")
    for key in ("condition", "contrast"):
        if groups[key] not in names:
            raise ConfigurationError(
                f"groups.{key}: {groups[key]!r} is not a condition; conditions are {', '.join(names)}"
            )
    if groups["condition"] == groups["contrast"]:
        raise ConfigurationError(
            f"groups.contrast: found {groups['contrast']!r}, which is groups.condition too; name another condition"
        )
    if rows["documents"] < 2:
        raise ConfigurationError(
            f"rows.documents: found {rows['documents']}; the discovery/held-out split needs at least 2 documents"
        )
    most = rows["documents"] * (rows["block_length"] - FIRST_POSITION - 1)
    if rows["rows_per_condition"] > most:
        raise ConfigurationError(
            f"rows.documents: {rows['documents']} documents of {rows['block_length']} tokens hold at most {most} rows, "
            f"rows.rows_per_condition asks for {rows['rows_per_condition']}; raise rows.documents or lower the rows"
        )


def _validate_condition(entry: Mapping[str, Any], where: str) -> None:
    name = entry["name"]
    if name == NOISE or name.startswith(SHUFFLED_PREFIX):
        raise ConfigurationError(f"{where}.name: {name!r} is the name of a null; choose another")
    if "preset" in entry:
        if "by" in entry:
            raise ConfigurationError(
                f"{where}.by: the preset {entry['preset']!r} already includes this choice; remove the key"
            )
        return
    low, high = entry["band"]
    if all(isinstance(edge, int | float) for edge in (low, high)) and not low < high:
        raise ConfigurationError(
            f"{where}.band: {name!r} runs from {low} to {high}; "
            "rank fraction grows from 0 (most frequent) to 1, so the first edge must be below the second"
        )
    if low == high == "elbow":
        raise ConfigurationError(f"{where}.band: {name!r} begins and ends at the elbow")


def _validate_other_layers(config: Mapping[str, Any]) -> None:
    settings, influence = config["other_layers"], config["influence"]
    if not settings["layers"]:
        return
    for key, impossible, expected in (
        ("reference", "resample", "'mean' or 'zero': a neuron is held at one value at all positions"),
        ("effect", "direct", "'total': a re-run recomputes the final norm"),
    ):
        if influence[key] == impossible:
            raise ConfigurationError(
                f"influence.{key}: found {impossible!r}, which re-runs from other layers (other_layers.layers) cannot "
                f"use; expected {expected}"
            )
    if settings["top"] > settings["candidates"]:
        raise ConfigurationError(
            f"other_layers.top: found {settings['top']}, more than other_layers.candidates ({settings['candidates']}); "
            "lower it or screen more candidates"
        )
    for model in config["models"]:
        if model["source"] == "train":
            layers_asked_for(settings["layers"], model["n_layers"], model["name"])
