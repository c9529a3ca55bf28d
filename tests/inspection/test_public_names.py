"""``import rareneurons`` is light, and its functions are there in whichever order modules are imported."""

import subprocess
import sys

import pytest


def output_of(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_import_takes_no_package_that_computes():
    heavy = "{'numpy', 'pandas', 'torch', 'transformers'} & set(sys.modules)"
    assert output_of(f"import sys, rareneurons, rareneurons.command_line; print({heavy} or 'light')") == "light"


@pytest.mark.parametrize("first", ["import rareneurons.influence.sums", "import rareneurons"])
def test_a_package_is_a_function_and_still_a_package(first):
    code = (
        f"{first}\nimport rareneurons, inspect\n"
        "print(list(inspect.signature(rareneurons.influence).parameters)[:2])\n"
        "import rareneurons.influence.sums as sums\n"
        "print(sums.FIELDS[0], set(rareneurons.PUBLIC) <= set(dir(rareneurons)))"
    )
    assert output_of(code).splitlines() == ["['model', 'texts']", "document True"]


def test_names_that_there_are_not():
    import rareneurons

    assert all(getattr(rareneurons, name) for name in rareneurons.PUBLIC)
    with pytest.raises(AttributeError, match="no attribute 'influences'"):
        rareneurons.influences  # noqa: B018
