"""The digest of a job's code changes with what the job runs, and with nothing else."""

import pytest
from conftest import PROJECT

from rareneurons.planning.code_digest import ProjectCode
from rareneurons.planning.figures import FIGURES

FILES = {
    "src/library/__init__.py": "",
    "src/library/mean.py": "from library.sums import total\n\n\ndef mean(x):\n    return total(x) / len(x)\n",
    "src/library/sums.py": "import math\n\nimport numpy\n\n\ndef total(x):\n    return math.fsum(x)\n",
    "src/library/other.py": "OTHER = 1\n",
    "src/library/page/__init__.py": "from library import other\n",
    "src/library/page/templates/page.html": "<p>",
    "scripts/job.py": "import library.other\n",
    "scripts/average.py": "import job\nfrom library.mean import mean\n",
    "scripts/by_name.py": "import job\n",
}


@pytest.fixture
def project(tmp_path):
    for file, text in FILES.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    return tmp_path


def code(project) -> ProjectCode:
    return ProjectCode(project / "src", project / "scripts")


def changed(project, file: str, text: str, *job: str) -> bool:
    """Whether a job's digest is another one after a file was given this text."""
    before = code(project).digest(*job)
    (project / file).write_text(text)
    return code(project).digest(*job) != before


def test_imports_are_followed_through_scripts_and_packages(project):
    found = code(project).imported_files([project / "scripts/average.py"])
    names = {str(file.relative_to(project)) for file in found}
    assert names == {
        *("scripts/average.py", "scripts/job.py"),
        *("src/library/mean.py", "src/library/sums.py", "src/library/other.py"),
    }


@pytest.mark.parametrize("file", ["scripts/average.py", "scripts/job.py", "src/library/mean.py", "src/library/sums.py"])
def test_an_edit_of_what_a_script_imports_changes_its_digest(project, file):
    assert changed(project, file, FILES[file] + "\n\nMORE = 1\n", "average")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("src/library/mean.py", "# why\n" + FILES["src/library/mean.py"].replace("\n\n\n", "\n\n")),
        ("src/library/page/__init__.py", "MORE = 1\n"),
        ("scripts/by_name.py", "MORE = 1\n"),
    ],
    ids=["comments and layout", "a module that it does not import", "another script"],
)
def test_other_edits_leave_it_alone(project, file, text):
    assert not changed(project, file, text, "average")


def test_modules_imported_by_name_count_where_they_are_named(project):
    assert code(project).digest("by_name") != code(project).digest("by_name", "library.mean")
    assert changed(project, "src/library/sums.py", "MORE = 1\n", "by_name", "library.mean")
    assert not changed(project, "src/library/sums.py", "MORE = 2\n", "by_name")


def test_templates_beside_a_module_count(project):
    assert changed(project, "src/library/page/templates/page.html", "<b>", "by_name", "library.page")
    assert changed(project, "src/library/page/templates/new.css", "b {}", "by_name", "library.page")


def test_a_module_or_script_that_is_not_there_is_an_error(project):
    with pytest.raises(FileNotFoundError, match=r"library\.gone: no such module"):
        code(project).digest("by_name", "library.gone")
    with pytest.raises(FileNotFoundError, match=r"gone\.py"):
        code(project).digest("gone")


def test_a_figure_s_code_is_its_module_and_not_another_figure_s():
    mine = ProjectCode(PROJECT / "src", PROJECT / "scripts")
    read = mine.imported_files([PROJECT / "scripts/figure.py", mine.file_of(FIGURES["attention"].module)])
    names = {str(file.relative_to(PROJECT)) for file in read}
    assert {"scripts/job.py", "src/rareneurons/figures/attention.py", "src/rareneurons/figures/style.py"} <= names
    others = {mine.file_of(figure.module) for figure in FIGURES.values()} - {mine.file_of(FIGURES["attention"].module)}
    assert not {str(file.relative_to(PROJECT)) for file in others} & names
    assert "src/rareneurons/planning/figures.py" not in names, "an edit of the registry would draw all figures again"
