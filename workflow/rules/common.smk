# Names and paths that all rule files share; functions only.
import os
import sys
from pathlib import Path

import yaml

BASE = Path(workflow.basedir)
# Jobs import the library from this checkout, whichever environment they run in.
sys.path.insert(0, str(BASE / "src"))
os.environ.update(PYTHONPATH=str(BASE / "src"))
# A thread that waits for others sleeps. By default it spins, and if another program uses a core, the thread that all
# wait for may be the one that the spinning ones keep from running.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from rareneurons.errors import ConfigurationError
from rareneurons.model_folders import folders
from rareneurons.model_folders.tokenizer_files import tokenizer_files
from rareneurons.planning import configuration, derived_settings, own_files
from rareneurons.planning.captions import CaptionFile
from rareneurons.planning.code_digest import ProjectCode
from rareneurons.planning.figures import FIGURES, figures_of_run
from rareneurons.planning.tables import (
    MEASURE_FUNCTIONS,
    MEASURES,
    TABLES,
    tables_of_run,
)

try:
    config = configuration.validated(
        config,
        yaml.safe_load((BASE / "workflow/schemas/config.schema.yaml").read_text()),
    )
except ConfigurationError as error:
    raise WorkflowError(f"Configuration: {error}") from None

# Digest of a script and of all project code that it imports.
code_of = ProjectCode(BASE / "src", BASE / "scripts").digest
CORPORA = {entry["name"]: entry for entry in config["corpora"]}
TOKENIZERS = {entry["name"]: entry for entry in config["tokenizers"]}
MODELS = {entry["name"]: entry for entry in config["models"]}
TRAINED = derived_settings.trained_models(config)
# The condition the claims are about, and the one it is compared with.
CONDITION_PAIR = derived_settings.condition_pair(config)
# What verdicts are drawn from, and what they depend on.
CLAIM_TABLES = [
    *MEASURES,
    "dynamics",
    "audit",
    "groups",
    "group_match",
    "neuron_types",
]
CLAIM_BOUNDS = derived_settings.claim_bounds(config)


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
    return configuration.checkpoints_of(MODELS[model])


def last_checkpoint_of(model):
    return configuration.last_checkpoint_of(MODELS[model])


def wanted_power(wildcards):
    """Power below which more documents and neurons are simulated: where verdicts are drawn, else nowhere."""
    last = wildcards.checkpoint == last_checkpoint_of(wildcards.model)
    return config["claims"]["power"] if last else 0


def last_checkpoints(file):
    return [in_run(f"{model}/{last_checkpoint_of(model)}/{file}") for model in MODELS]


def every_checkpoint(file):
    return [
        in_run(f"{model}/{checkpoint}/{file}")
        for model in MODELS
        for checkpoint in checkpoints_of(model)
    ]


def tracked_backwards(*files):
    """Input function: files of a model's last checkpoint, whose groups are tracked backwards; none if it is the only one."""

    def inputs(wildcards):
        if len(checkpoints_of(wildcards.model)) == 1:
            return {}
        folder = f"{wildcards.model}/{last_checkpoint_of(wildcards.model)}"
        return {
            f"final_{Path(file).stem}": in_run(f"{folder}/{file}") for file in files
        }

    return inputs


def tables():
    return [in_run(f"tables/{table.name}.csv") for table in tables_of_run(config)]


def figures():
    return expand(
        in_run("figures/{figure.name}.{suffix}"),
        figure=figures_of_run(config),
        suffix=["pdf", "png"],
    )


def files_of(source):
    """The files that a figure reads as one table: see planning/figures.py."""
    return {
        "run": [in_run(f"tables/{source.file}")],
        "checkpoints": every_checkpoint(source.file),
        "last checkpoints": last_checkpoints(source.file),
        "trained models": [in_run(f"{model}/{source.file}") for model in TRAINED],
        "trained on": [
            in_run(f"inputs/counts/{MODELS[model]['tokenizer']}/{source.file}")
            for model in TRAINED[:1]
        ],
    }[source.of]


def table_in_report(name):
    """A table that Snakemake's own report shows too, with its caption, in its section."""
    return report(
        in_run(f"tables/{name}.csv"),
        caption=f"../report/{name}.rst",
        category=TABLES[name].section.title,
    )


def caption_of(name):
    """The caption of a job of a rule with a wildcard."""
    return CaptionFile(str(BASE / f"workflow/report/{name}.rst"))


def captions():
    """Name of a figure or table -> its caption, reStructuredText with Jinja's expressions."""
    return {
        file.stem: file.read_text()
        for file in sorted((BASE / "workflow/report").glob("*.rst"))
    }


def neuron_pages():
    return expand(in_run("neurons/{model}.html"), model=MODELS)


def checkpoint_input(wildcards):
    """What a job needs on disk before it can open the checkpoint."""
    entry = MODELS[wildcards.model]
    if entry["source"] == "train":
        return in_run(f"{wildcards.model}/training")
    folder = checkpoint_folder(wildcards)
    local = entry["source"] == "local"
    return local and folders.checkpoint_files(folder) or folder


def checkpoint_dates(wildcards):
    """Dates and sizes of a local checkpoint's files, a parameter: a file with an old date may replace another."""
    entry = MODELS[wildcards.model]
    if entry["source"] != "local":
        return {}
    return folders.dates_and_sizes(checkpoint_folder(wildcards))


def checkpoint_folder(wildcards):
    """The folder that holds config.json and the weights."""
    entry = MODELS[wildcards.model]
    if entry["source"] == "train":
        return in_run(f"{wildcards.model}/training/{wildcards.checkpoint}")
    if entry["source"] == "hub":
        return in_run(f"{wildcards.model}/{wildcards.checkpoint}/weights")
    if entry["source"] == "gguf":
        return in_run(f"inputs/gguf/{wildcards.model}")
    return entry["folders"][wildcards.checkpoint]


def revision_of(wildcards):
    """Branch or, where the configuration pins it, commit of a hub model's checkpoint."""
    pinned = MODELS[wildcards.model].get("commits", {})
    return pinned.get(wildcards.checkpoint, wildcards.checkpoint)


def folders_of(wildcards):
    """Checkpoint -> folder, of a trained or local model, or of a GGUF file's."""
    entry = MODELS[wildcards.model]
    if entry["source"] == "local":
        return entry["folders"]
    if entry["source"] == "gguf":
        return {"main": in_run(f"inputs/gguf/{wildcards.model}")}
    training = in_run(f"{wildcards.model}/training")
    return {name: f"{training}/{name}" for name in checkpoints_of(wildcards.model)}


def weights_of_folders(wildcards):
    """What the audit of a trained or local model, or of a GGUF file's, reads: folders that rules make, or own files."""
    entry = MODELS[wildcards.model]
    if entry["source"] == "train":
        return in_run(f"{wildcards.model}/training")
    places = folders_of(wildcards).values()
    if entry["source"] == "gguf":
        return list(places)
    return [
        file
        for folder in places
        for file in folders.checkpoint_files(folder) or [folder]
    ]


def tokenizer_folder(name):
    entry = TOKENIZERS[name]
    return (
        entry["folder"]
        if entry["source"] == "local"
        else in_run(f"inputs/tokenizers/{name}")
    )


def tokenizer_input(name):
    """What a job needs on disk before it can open the tokenizer.

    Of a local folder every file, because the folder's own date stays when one of them is rewritten in place.
    """
    folder = tokenizer_folder(name)
    return tokenizer_files(folder) if TOKENIZERS[name]["source"] == "local" else folder


def states_of_own_files(corpus=None, tokenizer=None):
    """File -> what it holds, of the user's own files: Snakemake does not see that an older copy took a file's place."""
    files = []
    if corpus is not None and CORPORA[corpus]["source"] == "file":
        files.append(CORPORA[corpus]["file"])
    if tokenizer is not None:
        entry = TOKENIZERS[tokenizer]
        files += tokenizer_input(tokenizer) if entry["source"] == "local" else []
        files += (
            [entry["counts"]["file"]] if entry["counts"]["source"] == "file" else []
        )
    return own_files.states_of(files)


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


def without(entry, *keys):
    return {key: value for key, value in entry.items() if key not in keys}
