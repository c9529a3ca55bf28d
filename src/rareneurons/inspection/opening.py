"""Open a model by its folder, by its name on the hub, or as an object that is already in memory."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from transformers import PreTrainedTokenizerFast

from rareneurons.errors import CheckpointError, CorpusError
from rareneurons.model_folders.folders import step_of
from rareneurons.model_folders.tokenizer_files import TOKENIZER_FILES, tokenizer_files
from rareneurons.models.architectures import Architecture, architecture_of
from rareneurons.models.checkpoints import open_checkpoint, refuse_non_finite, refuse_quantised
from rareneurons.models.devices import device_of
from rareneurons.models.hub import hub_errors, repository_files
from rareneurons.tables import CheckpointName
from rareneurons.tokens import open_tokenizer


@dataclass(frozen=True)
class OpenModel:
    """An open checkpoint: its ``name``, the model behind its adapter (``architecture``), and its ``tokenizer``.

    Without a tokenizer, rows that somebody else has chosen can be used, and texts cannot.
    """

    name: CheckpointName
    architecture: Architecture
    tokenizer: PreTrainedTokenizerFast | None = None

    @property
    def n_neurons(self) -> int:
        """Neurons of the last MLP."""
        return len(self.architecture.mlp_output_weight(self.architecture.n_layers - 1))

    @property
    def needed_tokenizer(self) -> PreTrainedTokenizerFast:
        """The tokenizer.

        Raises:
            CorpusError: there is none.
        """
        if self.tokenizer is None:
            raise CorpusError(
                f"{self.name.model}: found no tokenizer beside the model, which texts need; give one to load(..., "
                "tokenizer=folder), or rows in place of texts"
            )
        return self.tokenizer


def load(
    model: Any,
    revision: str | None = None,
    device: str = "auto",
    tokenizer: PreTrainedTokenizerFast | str | None = None,
) -> OpenModel:
    """Open a model for inspection.

    Args:
        model: a folder as ``save_pretrained`` writes it; the name of a repository on the hub, ``owner/name``; or a
            causal language model of transformers that is in memory, which is put into evaluation mode and runs in the
            precision that it has; a quantised one is refused.
        revision: branch, tag or commit on the hub; ``main`` by default.
        device: ``auto`` (CUDA, else MPS, else the CPU), ``cpu``, ``cuda`` or ``mps``. A model in memory stays where it
            is.
        tokenizer: a fast tokenizer, or the folder of one. By default the one beside the model, if there is one.

    Returns:
        The open model. A folder named after a training step gives ``model/step<n>``, any other ``name/main``.

    Raises:
        CheckpointError: the weights or the architecture cannot be used.
        CorpusError: the tokenizer cannot be used.
        HubError: the hub cannot be reached, or has no such repository or revision.

    Examples:
        >>> open_model = rareneurons.load(transformers_model, tokenizer=tokenizer)
        >>> open_model.n_neurons
        64
    """
    if not isinstance(model, str | Path):
        architecture = architecture_of(model.eval())
        refuse_quantised(model, type(model).__name__)
        refuse_non_finite(model, type(model).__name__)
        return OpenModel(CheckpointName(_own_name(model), "main"), architecture, _tokenizer(tokenizer, None))
    folder = Path(model)
    name = _name_of_folder(folder)
    if not folder.is_dir():
        name, folder = CheckpointName(str(model), revision or "main"), _fetched(str(model), revision or "main")
    architecture = open_checkpoint(str(folder), device=device_of(device))
    return OpenModel(name, architecture, _tokenizer(tokenizer, folder))


def _own_name(model: Any) -> str:
    return str(getattr(model.config, "_name_or_path", "") or type(model).__name__)


def _name_of_folder(folder: Path) -> CheckpointName:
    """``training`` is where the workflow keeps the checkpoints of the models that it trains."""
    folder = folder.resolve()
    step = step_of(folder.name)
    if step is None:
        return CheckpointName(folder.name, "main")
    run = folder.parent.parent if folder.parent.name == "training" else folder.parent
    return CheckpointName(run.name, f"step{step[1]}")


def _fetched(repository: str, revision: str) -> Path:
    """A folder of the hub's cache with what is read of a repository."""
    if repository.count("/") != 1 or repository.startswith((".", "/")):
        raise CheckpointError(
            f"{repository}: found no such folder; expected a model's folder, or owner/name on the hub"
        )
    entry = repository_files(repository, revision)
    if "missing" in entry:
        raise CheckpointError(f"{repository} at {revision}: {entry['missing']}")
    with hub_errors(f"{repository} at {revision}"):
        wanted = [*entry["files"], *TOKENIZER_FILES]
        return Path(snapshot_download(repository, revision=entry["commit"], allow_patterns=wanted))


def _tokenizer(given: PreTrainedTokenizerFast | str | None, folder: Path | None) -> PreTrainedTokenizerFast | None:
    if isinstance(given, str | Path):
        return open_tokenizer(str(given), f"tokenizer: {str(given)!r}")
    if given is not None:
        if not isinstance(given, PreTrainedTokenizerFast):
            raise CorpusError(
                f"tokenizer: found a {type(given).__name__}, expected a fast tokenizer (PreTrainedTokenizerFast)"
            )
        return given
    if folder is None or not [file for file in tokenizer_files(str(folder)) if Path(file).name != "config.json"]:
        return None
    return open_tokenizer(str(folder), f"{folder}:")
