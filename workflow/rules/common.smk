# Names and paths that all rule files share; functions only.
import os
import re
import sys
from pathlib import Path

import yaml
from snakemake.sourcecache import LocalGitFile

# This folder, or one of a repository elsewhere.
RULE_FILES = workflow.current_basedir
SOURCE = Path(f"{RULE_FILES}").parents[1] / "src"
if SOURCE.is_dir():
    sys.path.insert(0, str(SOURCE))
    # Jobs import the library from this checkout, too, whichever environment they run in.
    search = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if search[0] != str(SOURCE):
        os.environ.update(
            PYTHONPATH=os.pathsep.join(filter(None, [str(SOURCE), *search]))
        )
# A thread that waits for others sleeps. By default it spins, and if another program uses a core, the thread that all
# wait for may be the one that the spinning ones keep from running.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def source_file(path):
    """A file of the workflow, by its path from workflow/; fetched by Snakemake if these rules are from a repository."""
    return Path(workflow.source_path(f"../{path}"))


def address(path):
    """A script, by its path from the rule files.

    Where the rules come from a git+file repository, Snakemake (9.27) takes a script's full address only.
    """
    if isinstance(RULE_FILES, LocalGitFile):
        return RULE_FILES.join(path).get_path_or_uri(secret_free=True)
    return path


try:
    import rareneurons
    import rareneurons_jobs
except ImportError:
    raise WorkflowError(
        f"{RULE_FILES}: these rules need the library rareneurons in the environment that Snakemake runs "
        "in; install it from the same repository, at the same tag or commit: pip install 'git+<its address>@<tag>'"
    ) from None
VERSION = re.search(
    r'__version__ = "(.+)"', source_file("../src/rareneurons/__init__.py").read_text()
)[1]
if VERSION != rareneurons.__version__:
    raise WorkflowError(
        f"{RULE_FILES}: these rules are of version {VERSION}, but the library rareneurons that is "
        f"installed here is of version {rareneurons.__version__}; install the same: pip install 'git+<its address>@<tag>'"
    )

from rareneurons.errors import ConfigurationError
from rareneurons.model_folders import branches, folders
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
        yaml.safe_load(source_file("schemas/config.schema.yaml").read_text()),
    )
except ConfigurationError as error:
    raise WorkflowError(f"Configuration: {error}") from None

CODE = ProjectCode(Path(rareneurons.__file__).parents[1])
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
# Files of workflow/report/.
CAPTIONED = [
    "workflow",
    *FIGURES,
    *(table.name for table in TABLES.values() if table.captioned),
]


def code_of(script, *modules):
    """Digest of a script and of all project code that it imports, the modules that it imports by name included."""
    return CODE.digest(source_file(f"../scripts/{script}.py"), *modules)


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


def checkpoints_with(file):
    """Input function: a file of each checkpoint of the job's model, in the order of the configuration."""
    return lambda wildcards: [
        in_run(f"{wildcards.model}/{checkpoint}/{file}")
        for checkpoint in checkpoints_of(wildcards.model)
    ]


def last_checkpoint_with(file):
    """Input function: a file of the last checkpoint of the job's model."""
    return lambda wildcards: in_run(
        f"{wildcards.model}/{last_checkpoint_of(wildcards.model)}/{file}"
    )


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


def untrained_checkpoint(wildcards):
    """The checkpoint before training that joint ablation is compared with; empty where a model has none."""
    return configuration.untrained_checkpoint_of(MODELS[wildcards.model])


def untrained_trace(wildcards):
    """The trace and the last layer of that checkpoint."""
    name = untrained_checkpoint(wildcards)
    files = ("trace", "last_layer") if name else ()
    return {
        f"untrained_{file}": in_run(f"{wildcards.model}/{name}/{file}.safetensors")
        for file in files
    }


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
    return CaptionFile(str(source_file(f"report/{name}.rst")))


def captions():
    """Name of a figure or table -> its caption, reStructuredText with Jinja's expressions."""
    return {name: source_file(f"report/{name}.rst").read_text() for name in CAPTIONED}


def neuron_pages():
    """The pages, and the script that they share."""
    pages = expand(in_run("neurons/{model}.html"), model=MODELS)
    return [*pages, in_run("neurons/plotly.min.js")]


def own(file):
    """A file of the user's, as an input: where the configuration says, whatever prefix a module gives to other paths."""
    return local(file)


def checkpoint_input(wildcards):
    """What a job needs on disk before it can open the checkpoint."""
    entry = MODELS[wildcards.model]
    if entry["source"] == "local":
        return checkpoint_files(entry["folders"][wildcards.checkpoint])
    if entry["source"] == "hub":
        return in_run(f"{wildcards.model}/{wildcards.checkpoint}/weights")
    return made_once(wildcards.model)


def made_once(model):
    """The folder that a rule makes of all checkpoints of a trained model, or of a GGUF file's one."""
    return in_run(f"{model}/training" if model in TRAINED else f"inputs/gguf/{model}")


def checkpoint_files(folder):
    return list(map(own, folders.checkpoint_files(folder) or [folder]))


def checkpoint_folder(wildcards, input):
    """The folder that holds config.json and the weights."""
    entry = MODELS[wildcards.model]
    if entry["source"] == "local":
        return entry["folders"][wildcards.checkpoint]
    if entry["source"] == "train":
        return f"{input.checkpoint}/{wildcards.checkpoint}"
    return str(input.checkpoint)


def checkpoint_dates(wildcards):
    """Dates and sizes of a local checkpoint's files, a parameter: a file with an old date may replace another."""
    entry = MODELS[wildcards.model]
    if entry["source"] != "local":
        return {}
    return folders.dates_and_sizes(entry["folders"][wildcards.checkpoint])


def revision_of(wildcards):
    """Branch or, where the configuration pins it, commit of a hub model's checkpoint."""
    return branches.revision_of(MODELS[wildcards.model], wildcards.checkpoint)


def weights_of_folders(wildcards):
    """What the audit of a trained or local model, or of a GGUF file's, reads: a folder that a rule makes, or own files."""
    entry = MODELS[wildcards.model]
    if entry["source"] != "local":
        return made_once(wildcards.model)
    return [
        file
        for folder in entry["folders"].values()
        for file in checkpoint_files(folder)
    ]


def folders_of(wildcards, input):
    """Checkpoint -> folder, of a trained or local model, or of a GGUF file's."""
    entry = MODELS[wildcards.model]
    if entry["source"] == "local":
        return entry["folders"]
    if entry["source"] == "gguf":
        return {"main": input[0]}
    return {name: f"{input[0]}/{name}" for name in checkpoints_of(wildcards.model)}


def tokenizer_input(name):
    """What a job needs on disk before it can open the tokenizer.

    Of a local folder every file, because the folder's own date stays when one of them is rewritten in place.
    """
    entry = TOKENIZERS[name]
    if entry["source"] == "local":
        return list(map(own, tokenizer_files(entry["folder"])))
    return in_run(f"inputs/tokenizers/{name}")


def tokenizer_of(wildcards):
    """Name of the tokenizer that a job is about, or of its model's."""
    return wildcards.get("tokenizer") or MODELS[wildcards.model]["tokenizer"]


def tokenizer_folder(wildcards, input):
    """The folder that holds tokenizer.json."""
    entry = TOKENIZERS[tokenizer_of(wildcards)]
    return entry["folder"] if entry["source"] == "local" else str(input.tokenizer)


def states_of_own_files(corpus=None, tokenizer=None):
    """File -> what it holds, of the user's own files: Snakemake does not see that an older copy took a file's place."""
    files = []
    if corpus is not None:
        files += own_files.of_corpus(CORPORA[corpus])
    if tokenizer is not None:
        entry = TOKENIZERS[tokenizer]
        files += tokenizer_files(entry["folder"]) if entry["source"] == "local" else []
        files += (
            [entry["counts"]["file"]] if entry["counts"]["source"] == "file" else []
        )
    return own_files.states_of(files)


def rows_of_model(file):
    return lambda wildcards: in_run(
        f"inputs/rows/{MODELS[wildcards.model]['tokenizer']}/{file}"
    )


def corpus_files(wildcards):
    entry, folder = CORPORA[wildcards.corpus], f"inputs/downloads/{wildcards.corpus}"
    if entry["source"] == "hub":
        return [in_run(f"{folder}/{Path(entry['file']).name}")]
    if entry["source"] == "datasets":
        return [in_run(f"{folder}/documents.parquet")]
    return own_corpus_files(wildcards)


def own_corpus_files(wildcards):
    """The user's own files that a corpus is read from."""
    return [own(file) for file in own_files.of_corpus(CORPORA[wildcards.corpus])]


def counted_by(source):
    return [
        name
        for name, entry in TOKENIZERS.items()
        if entry["counts"]["source"] == source
    ]


def counts_file(tokenizer):
    counts = TOKENIZERS[tokenizer]["counts"]
    if counts["source"] == "file":
        return own(counts["file"])
    return in_run(f"inputs/counts/{tokenizer}/counts.npy")


def trace_file(name):
    path = in_run(f"{{model}}/{{checkpoint}}/{name}")
    return path if config["keep"]["traces"] else temp(path)


def without(entry, *keys):
    return {key: value for key, value in entry.items() if key not in keys}
