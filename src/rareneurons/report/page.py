"""Shared by the pages: templates, and data for a page's script."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def rendered(template: str, values: Mapping[str, Any]) -> str:
    """A template of this package, filled with values. Text is escaped unless it is ``Markup``."""
    environment = Environment(
        loader=PackageLoader("rareneurons.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(values)


def script_data(value: Any) -> Markup:
    """JSON for use within a ``<script>``. No text in it can end that element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704  no `<` is left


def script_that_calls(function: str, name: str, value: Any) -> str:
    """Script of its own that calls a page's function with a name and a value, which a page loads from the disk."""
    return f"{function}({script_data(name)},{script_data(value)});\n"


def packed(values: np.ndarray) -> dict[str, str]:
    """An array as the bytes of a typed array: ``{"type": "float32", "data": base64}``.

    Floats become float32 (seven digits). Integers become the smallest unsigned type that can hold them.
    """
    array = np.ascontiguousarray(values)
    kind = np.dtype("<f4") if array.dtype.kind == "f" else np.min_scalar_type(int(array.max(initial=0)))
    data = base64.b64encode(array.astype(kind.newbyteorder("<")).tobytes()).decode("ascii")
    return {"type": kind.name, "data": data}
