"""Print the configuration reference, docs/configuration.md.

``python docs/configuration.py > docs/configuration.md``. Types, ranges and units come from the schema, values and
explanations from config.yaml, where each key is explained beside it; entries of lists (corpora, tokenizers, models,
conditions) are explained in the schema.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parent.parent
HEAD = """# Configuration reference

Printed by `python docs/configuration.py` from `workflow/schemas/config.schema.yaml` (types, ranges, units) and
`config.yaml` (values of the full reproduction, explanations). Overlays are laid over `config.yaml`
([how](../config/README.md)); after that every key must be there, and a key that is not in this list is refused."""
# What a list in the configuration holds, each with the part of the schema for each source.
ENTRIES = {"corpora": "corpus", "tokenizers": "tokenizer", "models": "model"}
BOUNDS = {"minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}"}


def explanations(text: str) -> dict[str, str]:
    """Dotted key -> the comment that begins beside it in a YAML text; of a section, the comment above it."""
    lines, found = text.splitlines(), {}
    for key, line in _key_lines(yaml.compose(text)):
        section = "." not in key and lines[line].endswith(":")
        found[key] = _comment_above(lines, line) if section else _comment_beside(lines, line)
    return found


def _key_lines(node: yaml.Node, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Keys of block mappings and their lines; what is written on one line is explained as one."""
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
    """A part of the schema with the definition it refers to, whose description it may replace."""
    return schema["$defs"][shape["$ref"].rsplit("/", 1)[1]] | shape if "$ref" in shape else shape


def kind(shape: dict, schema: dict) -> str:
    """Type and range of a part of the schema, in words."""
    shape = resolved(shape, schema)
    if "if" in shape:  # a word, or something else
        return f"`{shape['then']['const']}` or {kind(shape['else'], schema)}"
    if "enum" in shape:
        return ", ".join(f"`{value}`" for value in shape["enum"])
    if shape.get("type") == "array":
        number = f"{shape['maxItems']} " if "maxItems" in shape else ""
        return f"list of {number}{kind(shape['items'], schema)}"
    if shape.get("type", "object") == "object":
        return "mapping"
    bounds = " and ".join(text.format(shape[key]) for key, text in BOUNDS.items() if key in shape)
    return f"{shape['type']} {bounds}".strip()


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines)


def section_rows(name: str, shape: dict, values: dict, told: dict[str, str], schema: dict) -> list[list[str]]:
    """A row for every key of a section: name, type with range and unit, value in config.yaml, explanation."""
    rows = []
    for key, part in shape["properties"].items():
        part, dotted = resolved(part, schema), f"{name}{key}"
        if dotted in ENTRIES or ("properties" in part and not name):
            continue
        unit = "" if "if" in part or "properties" in part or "pattern" in part else part.get("description", "")
        value = "below" if "properties" in part.get("items", part) else f"`{json.dumps(values[key])}`".replace('"', "")
        rows.append([f"`{dotted}`", ", ".join(filter(None, [kind(part, schema), unit])), value, told.get(dotted, "")])
        if "properties" in part:
            rows += section_rows(f"{dotted}.", part, values[key], told, schema)
    return rows


def entry_rows(shape: dict, schema: dict, prefix: str = "") -> list[list[str]]:
    """A row for every key of an entry of a list: name, type with range, meaning."""
    rows = []
    for key, part in shape["properties"].items():
        if part is True:  # `source`, which the heading says
            continue
        part = resolved(part, schema)
        rows.append([f"`{prefix}{key}`", kind(part, schema), part.get("description", "")])
        if key == "training":
            rows += entry_rows(part, schema, f"{key}.")
    return rows


def entries(key: str, told: str, schema: dict) -> list[str]:
    """The part of the page about a list: what it is, and a table for each source of an entry."""
    parts, name = [f"## `{key}`", told], ENTRIES[key]
    for source in schema["$defs"][name]["properties"]["source"]["enum"]:
        rows = entry_rows(schema["$defs"][f"{name}_{source}"], schema)
        parts.append(table([f"`source: {source}`", "type, range", "what it is"], rows))
    return parts


def counts_table(schema: dict) -> str:
    """The table of where token counts come from."""
    rows: list[list[str]] = []
    for case in schema["$defs"]["counts"]["allOf"]:
        source = case["if"]["properties"]["source"]["const"]
        rows += [[f"`source: {source}`", *row] for row in entry_rows(case["then"], schema)]
    return table(["`counts`", "key", "type, range", "what it is"], rows)


def reference(config_text: str, schema: dict) -> str:
    """The whole page."""
    told, config, head = explanations(config_text), yaml.safe_load(config_text), "type, range, unit"
    columns = ["key", head, "in config.yaml", "what it is"]
    parts = [HEAD, "## The run", table(columns, section_rows("", schema, config, told, schema))]
    for key, part in schema["properties"].items():
        if key in ENTRIES:
            parts += entries(key, told[key], schema)
        elif "properties" in part:
            rows = section_rows(f"{key}.", part, config[key], told, schema)
            parts += [f"## `{key}`", told[key], table(columns, rows)]
        if key == "tokenizers":
            parts.append(counts_table(schema))
        if key == "rows":
            rows = entry_rows(part["properties"]["conditions"]["items"], schema)
            parts.append(table(["an entry of `rows.conditions`", "type, range", "what it is"], rows))
    return "\n\n".join(filter(None, parts)) + "\n"


def shape_of_configuration() -> Any:
    """The schema as it stands in the project."""
    return yaml.safe_load((PROJECT / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8"))


if __name__ == "__main__":
    print(reference((PROJECT / "config.yaml").read_text(encoding="utf-8"), shape_of_configuration()), end="")
