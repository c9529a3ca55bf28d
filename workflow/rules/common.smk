# Names, paths and validation that all rule files share. This file holds functions only.
import ast
import hashlib
import os
import shutil
import sys
from functools import cache
from pathlib import Path

import yaml

SOURCE = Path(workflow.basedir) / "src"
SCRIPTS = Path(workflow.basedir) / "scripts"
# Jobs import the library from this checkout, whichever environment they run in.
sys.path.insert(0, str(SOURCE))
os.environ.update(PYTHONPATH=str(SOURCE))

from rareneurons import configuration
from rareneurons.errors import ConfigurationError

MEASURES = ["regimes", "coordination", "organization", "attention", "spectra"]
CHECKPOINT_TABLES = [
    *MEASURES,
    "groups",
    "group_match",
    "neuron_types",
    "weightwatcher",
]
FIGURES = [
    "rank_influence",
    "rank_influence_by_checkpoint",
    "regimes",
    "threshold_sweep",
    "overlap",
    "neuron_types",
    "coordination",
    "coordination_rows",
    "organization",
    "communities",
    "attention",
    "head_concentration",
    "heads_and_layers",
    "attention_patterns",
    "spectra",
    "hill_plot",
    "weightwatcher",
    "choices",
]


def validated(config):
    schema = yaml.safe_load(
        (Path(workflow.basedir) / "workflow/schemas/config.schema.yaml").read_text()
    )
    try:
        configuration.validate_shape(config, schema)
        config = configuration.expanded(config, subfolders)
        configuration.validate_sense(config, os.path.exists)
    except ConfigurationError as error:
        raise WorkflowError(f"Configuration: {error}") from None
    return in_fixed_order(config)


def subfolders(path):
    """Names of the folders in a folder; none where it is a checkpoint itself, None where there is no such folder."""
    if not Path(path).is_dir():
        return None
    if (Path(path) / "config.json").exists():
        return []
    return [entry.name for entry in Path(path).iterdir() if entry.is_dir()]


def in_fixed_order(value):
    """The same value with the keys of all mappings sorted: Snakemake takes another order for another parameter."""
    if isinstance(value, dict):
        return {key: in_fixed_order(value[key]) for key in sorted(value)}
    return (
        [in_fixed_order(item) for item in value] if isinstance(value, list) else value
    )


config = validated(config)
CORPORA = {entry["name"]: entry for entry in config["corpora"]}
TOKENIZERS = {entry["name"]: entry for entry in config["tokenizers"]}
MODELS = {entry["name"]: entry for entry in config["models"]}
# The condition the claims are about, and the one it is held against.
CONDITION_PAIR = [config["groups"]["condition"], config["groups"]["contrast"]]
# What verdicts are drawn from, and what they depend on.
CLAIM_TABLES = [*MEASURES, "dynamics", "audit", "groups"]
CLAIM_BOUNDS = config["claims"] | {
    "flatness": config["regimes"]["flatness"],
    "plateau_alpha": config["regimes"]["alpha"],
    "permutations": config["dynamics"]["permutations"],
}
# The head of the curve by the fixed cut, as large at all checkpoints; chosen anew at each, and the last one's followed.
HEAD_GROUPS = ["fixed_plateau", "final_fixed_plateau"]
TRAINED = [name for name, entry in MODELS.items() if entry["source"] == "train"]
CHECKPOINT_TABLES += (
    ["other_layers", "screening"] if config["other_layers"]["layers"] else []
)


def in_run(path):
    """A path inside results/<run>/; wildcards stay as they are."""
    return f"results/{config['run']}/{path}"


def one_of(names):
    """Regular expression that matches the names and, where there are none, nothing."""
    return "|".join(map(re.escape, names)) or "(?!)"


def named(entries, source):
    """Names of the corpora, tokenizers or models with that source."""
    return [name for name, entry in entries.items() if entry["source"] == source]


def checkpoints_of(model):
    entry = MODELS[model]
    if entry["source"] == "local":
        return list(entry["folders"])
    return [configuration.checkpoint_name(step) for step in entry["checkpoints"]]


def last_checkpoint_of(model):
    return max(
        checkpoints_of(model), key=lambda name: int(name[4:]) if name != "main" else -1
    )


def wanted_power(wildcards):
    """Power below which more documents and neurons are simulated: where verdicts are drawn, else nowhere."""
    last = wildcards.checkpoint == last_checkpoint_of(wildcards.model)
    return config["claims"]["power"] if last else 0


def middle_top():
    """The size of the tops that figures and turnover show."""
    tops = sorted(config["regimes"]["tops"])
    return tops[len(tops) // 2]


def last_checkpoints(file):
    return [in_run(f"{model}/{last_checkpoint_of(model)}/{file}") for model in MODELS]


def every_checkpoint(file):
    return [
        in_run(f"{model}/{checkpoint}/{file}")
        for model in MODELS
        for checkpoint in checkpoints_of(model)
    ]


def followed_back(*files):
    """Input function: files of a model's last checkpoint, whose groups are followed back; none if it is the only one."""

    def inputs(wildcards):
        if len(checkpoints_of(wildcards.model)) == 1:
            return {}
        folder = f"{wildcards.model}/{last_checkpoint_of(wildcards.model)}"
        return {
            f"final_{Path(file).stem}": in_run(f"{folder}/{file}") for file in files
        }

    return inputs


def tables():
    return expand(
        in_run("tables/{table}.csv"),
        table=[
            *CHECKPOINT_TABLES,
            "conditions",
            "audit",
            "dynamics",
            "final_head",
            "provenance",
            "paper_table_1",
            "paper_table_2",
            "paper_table_3",
            "paper_comparison",
            "choices",
        ],
    )


def figures():
    several = any(len(checkpoints_of(model)) > 1 for model in MODELS)
    names = (
        FIGURES
        + ["audit", "dynamics", "course"] * several
        + ["training_loss"] * bool(TRAINED)
    )
    return expand(
        in_run("figures/{figure}.{suffix}"), figure=names, suffix=["pdf", "png"]
    )


def neuron_pages():
    return expand(in_run("neurons/{model}.html"), model=MODELS)


def captions():
    """Name of a figure or table -> its caption, reStructuredText with Jinja's expressions."""
    folder = Path(workflow.basedir) / "workflow/report"
    return {file.stem: file.read_text() for file in sorted(folder.glob("*.rst"))}


def checkpoint_input(wildcards):
    """What a job needs on disk before it can open the checkpoint."""
    entry = MODELS[wildcards.model]
    if entry["source"] == "train":
        return in_run(f"{wildcards.model}/training")
    return checkpoint_folder(wildcards)


def checkpoint_folder(wildcards):
    """The folder that holds config.json and the weights."""
    entry = MODELS[wildcards.model]
    if entry["source"] == "train":
        return in_run(f"{wildcards.model}/training/{wildcards.checkpoint}")
    if entry["source"] == "hub":
        return in_run(f"{wildcards.model}/{wildcards.checkpoint}/weights")
    return entry["folders"][wildcards.checkpoint]


def revision_of(wildcards):
    """Branch or, where the configuration pins it, commit of a hub model's checkpoint."""
    pinned = MODELS[wildcards.model].get("commits", {})
    return pinned.get(wildcards.checkpoint, wildcards.checkpoint)


def folders_of(wildcards):
    """Checkpoint -> folder, of a trained or local model."""
    entry = MODELS[wildcards.model]
    if entry["source"] == "local":
        return entry["folders"]
    training = in_run(f"{wildcards.model}/training")
    return {name: f"{training}/{name}" for name in checkpoints_of(wildcards.model)}


def accelerators():
    """How much of the resource `gpu` a job takes that runs on the configured device.

    `auto` takes one where the machine that plans the jobs has `nvidia-smi`; a profile for a cluster sets its own.
    """
    asked = config["device"] == "cuda"
    found = config["device"] == "auto" and shutil.which("nvidia-smi")
    return int(bool(asked or found))


def checkpoint_slot(wildcards):
    """How much of the resource `weights` a job takes that stands between a checkpoint's download and its deletion.

    These jobs go before downloads (`priority`), so one starts only when fewer than `weights` checkpoints are in work:
    that many are on disk at most. Naming finished work as a download's input would do the same, but then an added
    checkpoint, or one that fails, would reach its neighbours.
    """
    fetched = MODELS[wildcards.model]["source"] == "hub"
    return int(fetched and not config["keep"]["weights"])


def tokenizer_folder(name):
    entry = TOKENIZERS[name]
    return (
        entry["folder"]
        if entry["source"] == "local"
        else in_run(f"inputs/tokenizers/{name}")
    )


def rows_of_model(file):
    return lambda wildcards: in_run(
        f"inputs/rows/{MODELS[wildcards.model]['tokenizer']}/{file}"
    )


def corpus_file(wildcards):
    entry = CORPORA[wildcards.corpus]
    if entry["source"] == "hub":
        return [
            in_run(f"inputs/downloads/{wildcards.corpus}/{Path(entry['file']).name}")
        ]
    return [entry["file"]] if entry["source"] == "file" else []


def counted_by(source):
    return [
        name
        for name, entry in TOKENIZERS.items()
        if entry["counts"]["source"] == source
    ]


def counts_file(tokenizer):
    counts = TOKENIZERS[tokenizer]["counts"]
    if counts["source"] == "file":
        return counts["file"]
    return in_run(f"inputs/counts/{tokenizer}/counts.npy")


def trace_file(name):
    path = in_run(f"{{model}}/{{checkpoint}}/{name}")
    return path if config["keep"]["traces"] else temp(path)


def figure_files(name, category):
    """The two files of a figure; the PNG goes into the report."""
    return {
        "pdf": in_run(f"figures/{name}.pdf"),
        "png": report(
            in_run(f"figures/{name}.png"),
            caption=f"../report/{name}.rst",
            category=category,
        ),
    }


def without(entry, *keys):
    return {key: value for key, value in entry.items() if key not in keys}


@cache
def code_and_imports(file):
    """What a Python file says, comments and layout aside, and the project files it imports."""
    tree, modules = ast.parse(file.read_text()), []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            modules += [node.module, *names]
        elif isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
    places = [module.replace(".", "/") for module in filter(None, modules)]
    candidates = [
        candidate
        for place in places
        for candidate in (
            SOURCE / f"{place}.py",
            SOURCE / place / "__init__.py",
            SCRIPTS / f"{place}.py",
        )
    ]
    return ast.dump(tree), [file for file in candidates if file.exists()]


def imported_files(file):
    """Project files that a Python file imports, directly or not, itself included."""
    found, waiting = set(), [Path(file)]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting.extend(code_and_imports(current)[1])
    return sorted(found)


def code_of(script):
    """Digest of a script, all project code it imports, and templates beside that; comments and layout do not count.

    A parameter of every rule: Snakemake itself sees neither an edited import nor, once files carry new dates, that
    nothing was edited.
    """
    digest = hashlib.sha256()
    files = imported_files(SCRIPTS / f"{script}.py")
    for file in files:
        digest.update(code_and_imports(file)[0].encode())
    for folder in sorted({file.parent for file in files}):
        for template in sorted(folder.glob("templates/*")):
            digest.update(template.read_bytes())
    return digest.hexdigest()[:16]
