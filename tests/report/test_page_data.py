"""Data that travels into a page's script."""

import base64
import json

import numpy as np
import pytest

from rareneurons.report.page import packed, script_data


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 255], "uint8"),
        ([0, 256], "uint16"),
        ([70_000, 3], "uint32"),
        ([], "uint8"),
        ([1e-7, np.nan, -2.5], "float32"),
    ],
)
def test_arrays_come_back_from_their_bytes(values, kind):
    array = np.array(values, dtype=None if values else int)
    found = packed(array)
    assert found["type"] == kind
    back = np.frombuffer(base64.b64decode(found["data"]), dtype=np.dtype(kind).newbyteorder("<"))
    np.testing.assert_allclose(back, array, rtol=1e-7)


def test_no_text_ends_the_script_element():
    text = {"a": "</script><script>alert(1)</script><!--", "é": [1, 2]}
    found = script_data(text)
    assert "<" not in found
    assert json.loads(found) == text
