"""The digest of a job's code changes with what the job runs, and with nothing else."""

import shutil

import pytest
from conftest import PROJECT

from rareneurons.planning.code_digest import ProjectCode
from rareneurons.planning.figures import FIGURES

FILES = {
    "src/rareneurons/__init__.py": "",
    "src/rareneurons/mean.py": ("from rareneurons.sums import total\n\n\ndef mean(x):\n    return total(x) / len(x)\n"),
    "src/rareneurons/sums.py": "import math\n\nimport numpy\n\n\ndef total(x):\n    return math.fsum(x)\n",
    "src/rareneurons/other.py": "OTHER = 1\n",
    "src/rareneurons/page/__init__.py": "from rareneurons import other\n",
    "src/rareneurons/page/templates/page.html": "<p>",
    "src/rareneurons/page/numbers.csv": "number\n1\n",
    "src/rareneurons_jobs/job.py": "import rareneurons.other\n",
    "src/numpy/__init__.py": "ANOTHER = 'project'\n",
    "scripts/average.py": "import rareneurons_jobs.job\nfrom rareneurons.mean import mean\n",
    "scripts/by_name.py": "import rareneurons_jobs.job\n",
}


@pytest.fixture
def project(tmp_path):
    for file, text in FILES.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    return tmp_path


def digest(project, script: str, *modules: str) -> str:
    return ProjectCode(project / "src").digest(project / f"scripts/{script}.py", *modules)


def changed(project, file: str, text: str, *job: str) -> bool:
    """Whether a job's digest is another one after a file was given this text."""
    before = digest(project, *job)
    (project / file).write_text(text)
    return digest(project, *job) != before


def test_imports_are_followed_through_scripts_and_packages(project):
    found = ProjectCode(project / "src").imported_files([project / "scripts/average.py"])
    names = {str(file.relative_to(project)) for file in found}
    assert names == {
        *("scripts/average.py", "src/rareneurons_jobs/job.py"),
        *("src/rareneurons/mean.py", "src/rareneurons/sums.py", "src/rareneurons/other.py"),
    }


@pytest.mark.parametrize(
    "file",
    ["scripts/average.py", "src/rareneurons_jobs/job.py", "src/rareneurons/mean.py", "src/rareneurons/sums.py"],
)
def test_an_edit_of_what_a_script_imports_changes_its_digest(project, file):
    assert changed(project, file, FILES[file] + "\n\nMORE = 1\n", "average")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("src/rareneurons/mean.py", "# why\n" + FILES["src/rareneurons/mean.py"].replace("\n\n\n", "\n\n")),
        ("src/rareneurons/page/__init__.py", "MORE = 1\n"),
        ("scripts/by_name.py", "MORE = 1\n"),
        ("src/numpy/__init__.py", "MORE = 1\n"),
    ],
    ids=["comments and layout", "a module that it does not import", "another script", "another project's package"],
)
def test_other_edits_leave_it_alone(project, file, text):
    assert not changed(project, file, text, "average")


def test_a_script_in_another_place_has_the_same_digest(project, tmp_path):
    """As Snakemake keeps what it fetched from a repository, with the commit in its name; the library is installed."""
    fetched, installed = tmp_path / "a/average.py@main", tmp_path / "z"
    fetched.parent.mkdir()
    shutil.copy(project / "scripts/average.py", fetched)
    shutil.copytree(project / "src", installed)
    assert ProjectCode(installed).digest(fetched) == digest(project, "average")


def test_modules_imported_by_name_count_where_they_are_named(project):
    assert digest(project, "by_name") != digest(project, "by_name", "rareneurons.mean")
    assert changed(project, "src/rareneurons/sums.py", "MORE = 1\n", "by_name", "rareneurons.mean")
    assert not changed(project, "src/rareneurons/sums.py", "MORE = 2\n", "by_name")


@pytest.mark.parametrize("file", ["templates/page.html", "templates/new.css", "numbers.csv"])
def test_data_beside_a_module_count(project, file):
    assert changed(project, f"src/rareneurons/page/{file}", "b {}", "by_name", "rareneurons.page")


def test_a_module_or_script_that_is_not_there_is_an_error(project):
    with pytest.raises(FileNotFoundError, match=r"rareneurons\.gone: no such module"):
        digest(project, "by_name", "rareneurons.gone")
    with pytest.raises(FileNotFoundError, match=r"gone\.py"):
        digest(project, "gone")


def test_a_figure_s_code_is_its_module_and_not_another_figure_s():
    mine = ProjectCode(PROJECT / "src")
    read = mine.imported_files([PROJECT / "scripts/figure.py", mine.file_of(FIGURES["attention"].module)])
    names = {str(file.relative_to(PROJECT)) for file in read}
    shared = {"src/rareneurons_jobs/job.py", "src/rareneurons/figures/style.py"}
    assert {"src/rareneurons/figures/attention.py", *shared} <= names
    others = {mine.file_of(figure.module) for figure in FIGURES.values()} - {mine.file_of(FIGURES["attention"].module)}
    assert not {str(file.relative_to(PROJECT)) for file in others} & names
    assert "src/rareneurons/planning/figures.py" not in names, "an edit of the registry would draw all figures again"
