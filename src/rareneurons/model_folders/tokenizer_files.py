"""Which files of a folder determine what its tokenizer does. It imports nothing, so planning a run can use it."""

from pathlib import Path

TOKENIZER_FILES = (
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "config.json",
    "*.model",
    "*.tiktoken",
    "tekken.json",
)


def tokenizer_files(folder: str) -> list[str]:
    """Paths of these files in a folder, sorted; the model's weights may lie beside them and are left out."""
    return sorted({str(file) for name in TOKENIZER_FILES for file in Path(folder).glob(name) if file.is_file()})
