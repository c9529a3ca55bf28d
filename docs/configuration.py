"""Print the configuration reference, docs/configuration.md.

Usage: ``python docs/configuration.py > docs/configuration.md``. Types, ranges and units come from the schema. Values
and explanations come from config.yaml, where each key has its explanation beside it. Entries of lists (corpora,
tokenizers, models, conditions) are explained in the schema.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parent.parent
HEAD = """# Configuration reference

Printed by `python docs/configuration.py` from `workflow/schemas/config.schema.yaml` (types, ranges, units) and
`config.yaml` (values of the full reproduction, explanations). Overlays replace keys of `config.yaml`
([how](../config/README.md)). A key that is left out has the value of `config.yaml`, which is also its default in the
schema. A key that is not in this list is refused."""
# Lists of the configuration, each with the definition of its entries in the schema.
ENTRIES = {"corpora": "corpus", "tokenizers": "tokenizer", "models": "model"}
BOUNDS = {"minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}"}


def explanations(text: str) -> dict[str, str]:
    """Dotted key -> the comment beside it in a YAML text, or for a section the comment above it."""
    lines, found = text.splitlines(), {}
    for key, line in _key_lines(yaml.compose(text)):
        section = "." not in key and lines[line].endswith(":")
        found[key] = _comment_above(lines, line) if section else _comment_beside(lines, line)
    return found


def _key_lines(node: yaml.Node, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Keys of block mappings and their lines. A mapping written on one line counts as one key."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style:
        for key, value in node.value:
            yield f"{prefix}{key.value}", key.start_mark.line
            yield from _key_lines(value, f"{prefix}{key.value}.")


def _comment_beside(lines: list[str], line: int) -> str:
    _, mark, comment = lines[line].partition(" # ")
    parts = [comment] if mark else []
    for following in lines[line + 1 :] if mark else []:
        if not following.strip().startswith("# ") or following.strip().startswith("# - "):
            break
        parts.append(following.strip("# "))
    return " ".join(parts)


def _comment_above(lines: list[str], line: int) -> str:
    first = line
    while first and lines[first - 1].startswith("# "):
        first -= 1
    _, _, beside = lines[line].partition(" # ")
    return " ".join([text.strip("# ") for text in lines[first:line]] + [beside]).strip()


def resolved(shape: dict, schema: dict) -> dict:
    """A part of the schema, merged with the definition that it refers to. Its own description takes precedence."""
    return schema["$defs"][shape["$ref"].rsplit("/", 1)[1]] | shape if "$ref" in shape else shape


def kind(shape: dict, schema: dict) -> str:
    """Type and range of a part of the schema, in words."""
    shape = resolved(shape, schema)
    if "if" in shape:  # a fixed string, or another type
        return f"`{shape['then']['const']}` or {kind(shape['else'], schema)}"
    if "oneOf" in shape:
        return ", ".join(dict.fromkeys(kind(each, schema) for each in shape["oneOf"]))
    if "enum" in shape:
        return ", ".join("`null`" if value is None else f"`{value}`" for value in shape["enum"])
    if shape.get("type") == "array":
        number = f"{shape['maxItems']} " if "maxItems" in shape else ""
        return f"list of {number}{kind(shape['items'], schema)}"
    if shape.get("type", "object") == "object":
        return "mapping"
    bounds = " and ".join(text.format(shape[key]) for key, text in BOUNDS.items() if key in shape)
    return f"{shape['type']} {bounds}".strip()


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(cell_text, row)) + " |" for row in lines)


def cell_text(text: str) -> str:
    """Text for a cell of a Markdown table: outside code, `<` before a word is escaped, so it is no tag."""
    parts = text.replace("|", "\\|").split("`")
    return "`".join(part if is_code % 2 else re.sub("<(?=[a-z])", "&lt;", part) for is_code, part in enumerate(parts))


def section_rows(name: str, shape: dict, values: dict, comments: dict[str, str], schema: dict) -> list[list[str]]:
    """One row per key of a section: name, type with range and unit, value in config.yaml, explanation."""
    rows = []
    for key, part in shape["properties"].items():
        part, dotted = resolved(part, schema), f"{name}{key}"
        if dotted in ENTRIES or ("properties" in part and not name):
            continue
        unit = "" if "if" in part or "properties" in part or "pattern" in part else part.get("description", "")
        value = "below" if "properties" in part.get("items", part) else f"`{json.dumps(values[key])}`".replace('"', "")
        type_and_unit = ", ".join(filter(None, [kind(part, schema), unit]))
        rows.append([f"`{dotted}`", type_and_unit, value, comments.get(dotted, "")])
        if "properties" in part:
            rows += section_rows(f"{dotted}.", part, values[key], comments, schema)
    return rows


def entry_rows(shape: dict, schema: dict, prefix: str = "") -> list[list[str]]:
    """One row per key of a list's entries: name, type with range, meaning."""
    rows = []
    for key, part in shape["properties"].items():
        if part is True:  # `source`, which the heading names
            continue
        part = resolved(part, schema)
        rows.append([f"`{prefix}{key}`", kind(part, schema), part.get("description", "")])
        if key == "training":
            rows += entry_rows(part, schema, f"{key}.")
    return rows


def entries(key: str, comment: str, schema: dict) -> list[str]:
    """The part of the page about a list: its explanation, and one table per source of its entries."""
    parts, name = [f"## `{key}`", comment], ENTRIES[key]
    for source in schema["$defs"][name]["properties"]["source"]["enum"]:
        rows = entry_rows(schema["$defs"][f"{name}_{source}"], schema)
        parts.append(table([f"`source: {source}`", "type, range", "what it is"], rows))
    return parts


def counts_table(schema: dict) -> str:
    """The table of the sources of token counts."""
    rows: list[list[str]] = []
    for case in schema["$defs"]["counts"]["allOf"]:
        source = case["if"]["properties"]["source"]["const"]
        rows += [[f"`source: {source}`", *row] for row in entry_rows(case["then"], schema)]
    return table(["`counts`", "key", "type, range", "what it is"], rows)


def reference(config_text: str, schema: dict) -> str:
    """The whole page."""
    comments, config = explanations(config_text), yaml.safe_load(config_text)
    columns = ["key", "type, range, unit", "in config.yaml", "what it is"]
    parts = [HEAD, "## The run", table(columns, section_rows("", schema, config, comments, schema))]
    for key, part in schema["properties"].items():
        if key in ENTRIES:
            parts += entries(key, comments[key], schema)
        elif "properties" in part:
            rows = section_rows(f"{key}.", part, config[key], comments, schema)
            parts += [f"## `{key}`", comments[key], table(columns, rows)]
        if key == "tokenizers":
            parts.append(counts_table(schema))
        if key == "rows":
            rows = entry_rows(part["properties"]["conditions"]["items"], schema)
            parts.append(table(["an entry of `rows.conditions`", "type, range", "what it is"], rows))
    return "\n\n".join(filter(None, parts)) + "\n"


def shape_of_configuration() -> Any:
    """The project's schema."""
    return yaml.safe_load((PROJECT / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8"))


if __name__ == "__main__":
    print(reference((PROJECT / "config.yaml").read_text(encoding="utf-8"), shape_of_configuration()), end="")
