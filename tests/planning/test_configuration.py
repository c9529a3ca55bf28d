"""The shipped configurations pass; every impossible one is refused by the key it breaks."""

import copy
import re
from collections import Counter

import pytest
import yaml
from conftest import PROJECT
from snakemake.utils import update_config

from rareneurons.errors import ConfigurationError
from rareneurons.planning import configuration, derived_settings


def load(overlay: str | None = None) -> dict:
    config = yaml.safe_load((PROJECT / "config.yaml").read_text())
    if overlay:
        update_config(config, yaml.safe_load((PROJECT / "config" / overlay).read_text()))
    return config


SCHEMA = yaml.safe_load((PROJECT / "workflow/schemas/config.schema.yaml").read_text())


# Folder -> what lies in it -> whether that holds a config.json; "." is the folder itself.
FOLDERS = {
    "there": {".": True},
    "run": {".": False, "checkpoint-500": True, "checkpoint-1000": True, "logs": False},
    "empty": {".": False, "logs": False},
    "twice": {".": False, "checkpoint-05": True, "checkpoint-5": True},
}


def check(config: dict) -> dict:
    configuration.validate_shape(config, SCHEMA)
    config = configuration.expanded(config, FOLDERS.get)
    configuration.validate_sense(config, exists=lambda path: path.split("/")[0] in FOLDERS)
    return config


def with_model(**model) -> dict:
    config = load()
    config["models"] = [{"name": "mine", "tokenizer": "pythia"} | model]
    return config


def test_a_folder_is_one_release_or_a_checkpoint_a_subfolder():
    alone = check(with_model(source="local", folder="there"))
    assert alone["models"][0]["folders"] == {"main": "there"}
    run = check(with_model(source="local", folder="run"))
    assert run["models"][0]["folders"] == {"step500": "run/checkpoint-500", "step1000": "run/checkpoint-1000"}


def test_all_is_every_step_of_the_schedule():
    hub = {"source": "hub", "repository": "a/b", "schedule": "pythia"}
    steps = check(with_model(**hub, checkpoints="all"))["models"][0]["checkpoints"]
    assert len(steps) == 154
    assert steps[:3] == [0, 1, 2]
    assert steps[-1] == 143000


def test_what_is_left_out_is_taken_from_what_is_listed_or_found():
    hub = {"source": "hub", "repository": "a/b", "schedule": "pythia"}
    steps = check(with_model(**hub, checkpoints="all", leave_out=[0, 143000]))["models"][0]["checkpoints"]
    assert (len(steps), steps[0], steps[-1]) == (152, 1, 142000)
    folder = check(with_model(source="local", folder="run", leave_out=[500]))["models"][0]
    assert folder["folders"] == {"step1000": "run/checkpoint-1000"}
    assert "leave_out" not in folder, "a parameter of training would change"
    folders = check(with_model(source="local", folders={"main": "there", "step1": "there"}, leave_out=["main"]))
    assert folders["models"][0]["folders"] == {"step1": "there"}


def test_validated_sorts_keys_and_finds_folders_on_disk(tmp_path, monkeypatch):
    """Another order of the same keys must not look like another parameter to Snakemake."""
    for step in ("checkpoint-500", "checkpoint-1000"):
        (tmp_path / "run" / step).mkdir(parents=True)
        (tmp_path / "run" / step / "config.json").write_text("{}")
    (tmp_path / "run/notes.txt").touch()
    monkeypatch.chdir(tmp_path)
    config = with_model(source="local", folder="run")
    found = configuration.validated(config, SCHEMA)
    assert found["models"][0]["folders"] == {"step500": "run/checkpoint-500", "step1000": "run/checkpoint-1000"}
    turned = dict(reversed([(key, value) for key, value in config.items()]))
    assert list(found) == list(configuration.validated(turned, SCHEMA)) == sorted(config)
    assert list(found["rows"]) == sorted(config["rows"])
    with pytest.raises(ConfigurationError, match=r"models\[0\]\.folder: 'nowhere' is not there"):
        configuration.validated(with_model(source="local", folder="nowhere"), SCHEMA)


@pytest.mark.parametrize(
    ("model", "names", "last"),
    [
        ({"source": "hub", "checkpoints": [512, 0, 1000]}, ["step512", "step0", "step1000"], "step1000"),
        ({"source": "train", "checkpoints": [0]}, ["step0"], "step0"),
        ({"source": "local", "folders": {"main": "a", "step4": "b"}}, ["main", "step4"], "step4"),
        ({"source": "hub", "checkpoints": ["main"]}, ["main"], "main"),
        ({"source": "gguf", "file": "a.gguf"}, ["main"], "main"),
    ],
)
def test_checkpoints_of_a_model_and_its_last(model, names, last):
    assert configuration.checkpoints_of(model) == names
    assert configuration.last_checkpoint_of(model) == last


@pytest.mark.parametrize(
    ("steps", "untrained"), [([512, 0, 1], "step0"), ([1, 512], "step1"), ([0], ""), ([2, 512], ""), (["main"], "")]
)
def test_the_untrained_checkpoint_is_an_earlier_one_at_step_0_or_1(steps, untrained):
    assert configuration.untrained_checkpoint_of({"source": "hub", "checkpoints": steps}) == untrained


def test_a_gguf_file_inside_a_package_gets_its_path(tmp_path, monkeypatch):
    (tmp_path / "some_model").mkdir()
    (tmp_path / "some_model/__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "some_model/m.gguf").touch()
    monkeypatch.syspath_prepend(tmp_path)
    named = {"source": "gguf", "package": "some_model", "file": "m.gguf"}
    config = with_model(**named)
    config["tokenizers"].append({"name": "its", **named, "counts": config["tokenizers"][0]["counts"]})
    found = configuration.validated(config, SCHEMA)
    assert found["models"][0]["file"] == found["tokenizers"][-1]["file"] == str(tmp_path / "some_model/m.gguf")
    config["tokenizers"][-1] |= {"file": "other.gguf"}
    with pytest.raises(ConfigurationError, match=r"tokenizers\[2\]\.file: .*some_model/other.gguf' is not there"):
        configuration.validated(config, SCHEMA)


HUB = {"source": "hub", "repository": "a/b"}
WRONG_MODELS = {
    "no such folder": (
        {"source": "local", "folder": "nowhere"},
        r"models\[0\]\.folder: 'nowhere' is not there",
    ),
    "no checkpoint in it": (
        {"source": "local", "folder": "empty"},
        r"models\[0\]\.folder: 'empty' holds neither config.json nor folders of checkpoints .*; found logs",
    ),
    "folder and folders": (
        {"source": "local", "folder": "there", "folders": {"main": "there"}},
        r"models\[0\]: found folder and folders; expected exactly one of folder, folders",
    ),
    "all of unknown steps": (HUB | {"checkpoints": "all"}, r"models\[0\]\.checkpoints: found 'all', but without"),
    "another word": (HUB | {"checkpoints": "some"}, r"models\[0\]\.checkpoints: 'all' was expected"),
    "no owner": (HUB | {"repository": "gpt2", "checkpoints": [1]}, r"models\[0\]\.repository: 'gpt2' does not match"),
    "a branch in place of a step": (
        HUB | {"checkpoints": ["stage1-step10000-tokens21B"]},
        r"models\[0\]\.checkpoints\[0\]: 'stage1-step10000-tokens21B' does not match; expected main, or a training "
        r"step as a number\. .* `revision: stage1-step\{step\}-tokens\{tokens\}B`",
    ),
    "a pattern without a step": (
        HUB | {"checkpoints": [1], "revision": "checkpoint-400"},
        r"models\[0\]\.revision: 'checkpoint-400' does not match; expected the name of a branch with \{step\} in place",
    ),
    "a schedule nobody knows": (
        HUB | {"checkpoints": [1], "schedule": "olmo"},
        r"models\[0\]\.schedule: 'olmo' is not one of \['pythia', 'mistral-crfm'\]",
    ),
    "a step that Mistral's models lack": (
        HUB | {"checkpoints": [110], "schedule": "mistral-crfm"},
        r"models\[0\]\.checkpoints\[0\]: mine has no checkpoint at 110; its steps are 10, 20, .*, \.\.\., .* 400000",
    ),
    "replicates named as a model": (
        HUB | {"checkpoints": [1], "replicate_of": "mine"},
        r"models\[0\]\.replicate_of: 'mine' is a model's own name",
    ),
    "replicates named as all": (
        HUB | {"checkpoints": [1], "replicate_of": "all"},
        r"models\[0\]\.replicate_of: 'all' is a model's own name or that of all models",
    ),
    "pinned but not used": (
        HUB | {"checkpoints": ["main"], "commits": {"step4": "a" * 40}},
        r"models\[0\]\.commits\.step4: .* not among `checkpoints`; those are main",
    ),
    "two folders of one step": (
        {"source": "local", "folder": "twice"},
        r"models\[0\]\.folder: 'twice' holds 'checkpoint-05' and 'checkpoint-5', both of step 5",
    ),
    "left out but not there": (
        HUB | {"checkpoints": [1, 2], "leave_out": [2, 3]},
        r"models\[0\]\.leave_out\[1\]: mine has no checkpoint 3; it has step1, step2",
    ),
    "all left out": (
        {"source": "local", "folder": "there", "leave_out": ["main"]},
        r"models\[0\]\.leave_out: no checkpoint of mine is left",
    ),
    "a step as a folder's key": (
        {"source": "local", "folders": {1000: "there"}},
        r"models\[0\]\.folders: 1000 is not of type 'string'",
    ),
    "a step as a commit's key": (
        HUB | {"checkpoints": [4], "commits": {4: "a" * 40}},
        r"models\[0\]\.commits: 4 is not of type 'string'",
    ),
    "no such package": (
        {"source": "gguf", "package": "no_such_model", "file": "m.gguf"},
        r"models\[0\]\.package: 'no_such_model' is not installed; install it in the environment that Snakemake",
    ),
    "no such gguf file": (
        {"source": "gguf", "file": "nowhere/m.gguf"},
        r"models\[0\]\.file: 'nowhere/m.gguf' is not there; give an existing file",
    ),
    "no gguf file": (
        {"source": "gguf", "file": "there/model.safetensors"},
        r"models\[0\]\.file: 'there/model.safetensors' does not match; expected a path that ends in .gguf",
    ),
    "pinned to a branch": (
        HUB | {"checkpoints": ["main"], "commits": {"main": "v1"}},
        r"models\[0\]\.commits\.main: 'v1' does not match",
    ),
}


@pytest.mark.faults
@pytest.mark.parametrize("wrong", WRONG_MODELS)
def test_impossible_sources_are_refused(wrong):
    model, message = WRONG_MODELS[wrong]
    with pytest.raises(ConfigurationError, match=message):
        check(with_model(**model))


@pytest.mark.parametrize("overlay", [None, *sorted(file.name for file in (PROJECT / "config").glob("*.yaml"))])
def test_shipped_configurations_pass(overlay):
    config = load(overlay)
    configuration.validate_shape(config, SCHEMA)
    for entry in config["models"] + config["tokenizers"]:
        if entry.pop("package", None):  # it need not be installed
            entry["file"] = f"there/{entry['file']}"
    check(config)


@pytest.mark.parametrize("overlay", [None, "demo.yaml", "study.yaml", "polypythias.yaml", "olmo.yaml"])
def test_alpha_of_a_plateau_is_5_percent_over_the_checkpoints_of_a_model(overlay):
    config = check(load(overlay))
    most = max(len(configuration.checkpoints_of(model)) for model in config["models"])
    assert config["regimes"]["alpha"] * most == pytest.approx(0.05, rel=0.02)
    assert (config["regimes"]["null_curves"] + 1) * config["regimes"]["alpha"] > 1, "a p as small must be possible"


def test_polypythias_are_nine_seeds_of_each_size():
    config = check(load("polypythias.yaml"))
    sizes = Counter(derived_settings.replicate_of(config).values())
    assert sizes == {f"pythia-{size}": 9 for size in ("14m", "31m", "70m", "160m", "410m")}
    for model in config["models"]:
        assert model["repository"] == f"EleutherAI/{model['name']}"
        assert model["name"].startswith(f"{model['replicate_of']}-seed")
    assert len({model["repository"] for model in config["models"]}) == 45


def change(config: dict, path: tuple, value) -> None:
    for key in path[:-1]:
        config = config[key]
    if value is ...:
        del config[path[-1]]
    else:
        config[path[-1]] = value


OTHER_LAYERS = load()["other_layers"] | {"layers": [0]}
BROKEN = {
    "unknown top key": (("rowz",), {}, r"configuration: .*found the unknown key 'rowz'; known keys are .*rows"),
    "unknown nested key": (
        ("rows", "dokuments"),
        5,
        r"rows: .*found the unknown key 'dokuments'; known keys are .*documents",
    ),
    "unknown model key": (("models", 0, "repo"), "x", r"models\[0\]: .*found the unknown key 'repo'"),
    "missing key": (("seed",), ..., r"'seed' is a required property"),
    "wrong type": (("rows", "documents"), "many", r"rows\.documents: 'many' is not of type 'integer'"),
    "number out of range": (("rows", "discovery_share"), 1.5, r"rows\.discovery_share: 1.5 is greater"),
    "unknown word": (("influence", "reference"), "median", r"influence\.reference: 'median' is not one of"),
    "unknown source": (("models", 0, "source"), "ftp", r"models\[0\]\.source: 'ftp' is not one of"),
    "band upside down": (
        ("rows", "conditions", 0),
        {"name": "rare", "band": [0.9, 0.2]},
        r"rows\.conditions\[0\]\.band: 'rare' runs from 0.9 to 0.2",
    ),
    "band beyond 1": (
        ("rows", "conditions", 0),
        {"name": "rare", "band": [0.9, 2]},
        r"rows\.conditions\[0\]\.band\[1\]: 2 is greater",
    ),
    "band of an unknown word": (
        ("rows", "conditions", 0),
        {"name": "rare", "band": [0, "knee"]},
        r"rows\.conditions\[0\]\.band\[1\]: 'elbow' was expected",
    ),
    "elbow to elbow": (
        ("rows", "conditions", 0),
        {"name": "rare", "band": ["elbow", "elbow"]},
        r"begins and ends at the elbow",
    ),
    "checkpoint not saved": (
        ("models", 0, "checkpoints"),
        [0, 3],
        r"models\[0\]\.checkpoints\[1\]: neox-small has no checkpoint at 3; its steps are 0, 1, 2, 4",
    ),
    "checkpoint twice": (("models", 0, "checkpoints"), [0, 0], r"models\[0\]\.checkpoints: .* non-unique"),
    "one document": (("rows", "documents"), 1, r"rows\.documents: found 1; .* at least 2"),
    "fewer documents than rows need": (
        ("rows", "documents"),
        10,
        r"rows\.documents: 10 documents of 96 tokens hold at most 920 rows",
    ),
    "undefined corpus": (("rows", "corpus"), "pile", r"rows\.corpus: 'pile' is not defined; defined are docstrings"),
    "undefined tokenizer": (("models", 0, "tokenizer"), "bpe", r"models\[0\]\.tokenizer: 'bpe' is not defined"),
    "band and preset": (
        ("rows", "conditions", 0),
        {"name": "rare", "band": [0, 1], "preset": "bottom_half"},
        r"rows\.conditions\[0\]: found band and preset; expected exactly one of band, preset",
    ),
    "neither band nor preset": (
        ("rows", "conditions", 0),
        {"name": "rare"},
        r"rows\.conditions\[0\]: found neither; expected exactly one of band, preset",
    ),
    "preset with a side": (
        ("rows", "conditions", 0),
        {"name": "rare", "preset": "bottom_half", "by": "input"},
        r"rows\.conditions\[0\]\.by: the preset 'bottom_half' already includes this choice",
    ),
    "unknown preset": (
        ("rows", "conditions", 0, "preset"),
        "rarest",
        r"conditions\[0\]\.preset: 'rarest' is not one of",
    ),
    "name of a null": (("rows", "conditions", 0, "name"), "shuffled_rare", r"'shuffled_rare' is the name of a null"),
    "contrast with itself": (
        ("groups", "contrast"),
        "rare",
        r"groups\.contrast: found 'rare', which is groups\.condition",
    ),
    "undefined contrast": (("groups", "contrast"), "medium", r"groups\.contrast: 'medium' is not a condition"),
    "undefined condition": (("groups", "condition"), "medium", r"groups\.condition: 'medium' is not a condition"),
    "name twice": (("models", 1, "name"), "neox-small", r"models\[1\]\.name: 'neox-small' is used twice"),
    "reserved name": (("models", 0, "name"), "tables", r"models\[0\]\.name: 'tables' is the name of a results folder"),
    "file of the run": (("models", 0, "name"), "missing.md", r"models\[0\]\.name: 'missing\.md' is the name of a"),
    "name with a line's end": (("run",), "demo\n", r"run: 'demo\\n' holds a control character"),
    "whole number as a decimal": (("rows", "documents"), 300.0, r"rows\.documents: 300\.0 is not of type 'integer'"),
    "no number": (("influence", "tolerance"), float("nan"), r"influence\.tolerance: nan is not of type 'number'"),
    "infinite": (("trace",), {"batch_size": float("inf")}, r"trace\.batch_size: inf is not of type 'integer'"),
    "very long value": (("device",), "x" * 5000, r"^device: 'x{199} \.\.\. is not one of"),
    "name of all models": (
        ("models", 0, "name"),
        "all",
        r"models\[0\]\.name: 'all' is the name for all models in claims.csv",
    ),
    "name that leaves the folder": (("run",), "../elsewhere", r"run: .* does not match"),
    "too few null curves": (
        ("regimes", "null_curves"),
        150,
        r"regimes\.null_curves: the smallest p-value of 150 curves, .* is 0\.013, .* at least 159 curves",
    ),
    "cuts turned": (("regimes", "cuts"), [5.5, 3.5], r"regimes\.cuts: found 5.5 and 3.5"),
    "layer the model lacks": (
        ("other_layers",),
        OTHER_LAYERS | {"layers": [0, 3]},
        r"other_layers\.layers: found 3, but neox-small has 3 layers; expected 0 to 2",
    ),
    "layers by an unknown word": (("other_layers", "layers"), "every", r"other_layers\.layers: 'all' was expected"),
    "more wanted than screened": (
        ("other_layers",),
        OTHER_LAYERS | {"candidates": 5, "top": 6},
        r"other_layers\.top: found 6, more than other_layers\.candidates \(5\)",
    ),
    "rows longer than a trained model's blocks": (
        ("rows", "block_length"),
        97,
        r"^rows\.block_length: found 97, but models\[0\] \(neox-small\) was trained for 96 positions",
    ),
    "heads do not divide": (
        ("models", 0, "n_heads"),
        5,
        r"models\[0\]\.hidden_size: 96 is not a multiple of n_heads \(5\)",
    ),
    "more experts chosen than there are": (
        ("models", 0, "experts"),
        {"number": 4, "chosen": 5},
        r"models\[0\]\.experts\.chosen: found 5, but there are 4 experts; expected at most as many",
    ),
    "corpus in braces": (
        ("corpora", 0),
        {
            "name": "docstrings",
            "source": "file",
            "file": "texts/{all}.txt",
            "text_column": "text",
            "min_characters": 1,
            "evaluation_share": 0.5,
        },
        r"corpora\[0\]\.file: 'texts/\{all\}\.txt' holds a word in braces, which Snakemake takes for a wildcard",
    ),
    "corpus file missing": (
        ("corpora", 0),
        {
            "name": "docstrings",
            "source": "file",
            "file": "gone.txt",
            "text_column": "text",
            "min_characters": 1,
            "evaluation_share": 0.5,
        },
        r"corpora\[0\]\.file: 'gone\.txt' is not there",
    ),
    "counts file missing": (
        ("tokenizers", 0, "counts"),
        {"source": "file", "file": "gone.npy"},
        r"tokenizers\[0\]\.counts\.file: 'gone\.npy' is not there",
    ),
    "local folder missing": (
        ("models", 0),
        {"name": "mine", "source": "local", "tokenizer": "docstrings-4096", "folders": {"main": "gone"}},
        r"models\[0\]\.folders\.main: 'gone' is not there",
    ),
    "trained model on a foreign tokenizer": (
        ("tokenizers", 0),
        {
            "name": "docstrings-4096",
            "source": "local",
            "folder": "there",
            "counts": {"source": "corpus", "corpus": "docstrings"},
        },
        r"models\[0\]\.tokenizer: a model with source 'train' needs",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_impossible_configurations_name_their_key(case):
    path, value, message = BROKEN[case]
    config = copy.deepcopy(load("demo.yaml"))
    change(config, path, value)
    with pytest.raises(ConfigurationError, match=message):
        check(config)


def test_a_default_that_does_not_fit_is_named_as_one():
    config = load("demo.yaml")
    del config["models"]
    with pytest.raises(ConfigurationError, match=r"^models: left out, and .*: models\[0\]\.tokenizer: 'gpt2'"):
        configuration.validated(config, SCHEMA)


NOT_NAMES = ["../x", "/x", "..", ".", "", "-x", "a b", "a\n", "$(x)", "`x`", "a;b", "{model}", "a/../b", "a\\b"]
NAMES = [
    ("run",),
    *((kind, 0, "name") for kind in ("corpora", "tokenizers", "models")),
    ("rows", "conditions", 0, "name"),
    *((kind, 0, "repository") for kind in ("corpora", "tokenizers", "models")),
    *((kind, 0, "revision") for kind in ("corpora", "tokenizers")),
]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("intermediate_size", 0, r"intermediate_size: 0 is less than the minimum of 1"),
        ("seed", "one", r"seed: 'one' is not of type 'integer'"),
        ("experts", {"number": 4}, r"experts: 'chosen' is a required property"),
        ("experts", {"number": 1, "chosen": 1}, r"experts\.number: 1 is less than the minimum of 2"),
    ],
)
def test_what_a_trained_model_may_ask_for_is_checked(key, value, message):
    config = load("demo.yaml")
    change(config, ("models", 0, key), value)
    with pytest.raises(ConfigurationError, match=rf"^models\[0\]\.{message}"):
        check(config)


def test_sizes_that_would_fill_the_memory_before_anything_starts_are_refused():
    for path, most in ((("training", "steps"), 10**6), (("n_layers",), 1000), (("hidden_size",), 65536)):
        config = load("smoke.yaml")
        change(config, ("models", 0, *path), 10**9)
        with pytest.raises(ConfigurationError, match=rf"{path[-1]}: 1000000000 is greater than the maximum of {most}"):
            check(config)
    config = load("smoke.yaml")
    config["influence"]["memory_gib"] = 1e308
    with pytest.raises(ConfigurationError, match=r"influence\.memory_gib: 1e\+308 is greater than"):
        check(config)


@pytest.mark.parametrize("path", NAMES, ids=lambda path: f"{path[0]}.{path[-1]}")
def test_no_name_leaves_its_folder_or_means_something_to_a_shell(path):
    base = load()
    key = path[0] if len(path) == 1 else rf"{path[0]}.*\.{path[-1]}"
    for name in NOT_NAMES:
        config = copy.deepcopy(base)
        change(config, path, name)
        with pytest.raises(ConfigurationError, match=rf"^{key}: "):
            check(config)


def test_a_file_on_the_hub_is_one_of_its_repository():
    for file in ("../x.txt", "/etc/x.txt", "a/../../x.txt", "./x.txt", "a\n.txt"):
        config = load()
        config["corpora"][0]["file"] = file
        with pytest.raises(ConfigurationError, match=r"^corpora\[0\]\.file: "):
            check(config)


def test_no_rule_has_a_shell_command():
    for file in [PROJECT / "Snakefile", *(PROJECT / "workflow/rules").glob("*.smk")]:
        assert not re.search(r"^\s*(shell|run):", file.read_text(), flags=re.M), file


def test_step_outside_pythia_s_schedule():
    config = load()
    config["models"][4]["checkpoints"] = [0, 1500]
    with pytest.raises(ConfigurationError, match=r"models\[4\]\.checkpoints\[1\]: pythia-70m-deduped has no .* 1500"):
        check(config)


def test_hub_model_without_schedule_may_name_any_step():
    config = load()
    config["models"][0]["checkpoints"] = [12345]
    check(config)


@pytest.mark.parametrize(
    ("key", "value", "expected"), [("reference", "resample", "'mean' or 'zero'"), ("effect", "direct", "'total'")]
)
def test_what_re_runs_cannot_do_is_refused_where_they_are_asked_for(key, value, expected):
    config = load("demo.yaml")
    config["influence"][key] = value
    check(config)
    config["other_layers"]["layers"] = "all"
    with pytest.raises(ConfigurationError, match=rf"influence\.{key}: found '{value}', .* expected {expected}"):
        check(config)
