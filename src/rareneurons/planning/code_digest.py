"""A digest of the code that a job runs: its script and all project code that this imports.

The digest is a parameter of every rule. Snakemake itself does not notice that an import was edited, and it does not
notice that a file with a new date was not edited.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

DATA = ("templates/*", "*.csv")  # what a package holds beside its modules


class ProjectCode:
    """The modules of a project.

    A file is read once: one object serves one plan. The digest does not depend on where the files are, so that a
    checkout, an installed package and a script that was fetched from a repository give the same one.
    """

    def __init__(self, source: Path) -> None:
        """Take modules of the project's packages (``rareneurons*``) from the folder ``source``."""
        self.source = source
        self._read: dict[Path, tuple[str, list[Path]]] = {}

    def digest(self, script: Path, *modules: str) -> str:
        """Digest of a script, of modules that it imports by name while it runs, and of all that these import.

        Comments and layout do not count. A package's own data do: templates and tables beside its modules.

        Args:
            script: its file.
            modules: dotted names.

        Raises:
            FileNotFoundError: there is no such script or module.
        """
        read = self.imported_files([script, *map(self.file_of, modules)])
        digest = hashlib.sha256()
        for file in [script, *(file for file in read if file != script)]:
            digest.update(self._code_and_imports(file)[0].encode())
        for folder in sorted({file.parent for file in read if file != script}):
            for data in sorted(file for pattern in DATA for file in folder.glob(pattern)):
                digest.update(data.read_bytes())
        return digest.hexdigest()[:16]

    def file_of(self, module: str) -> Path:
        """The file of a module of the project.

        Raises:
            FileNotFoundError: there is none.
        """
        for file in self._files_named(module):
            return file
        raise FileNotFoundError(f"{module}: no such module below {self.source}")

    def imported_files(self, files: Iterable[Path]) -> list[Path]:
        """Project files that some files import, directly or not, themselves included; sorted."""
        found: set[Path] = set()
        waiting = list(files)
        while waiting:
            current = waiting.pop()
            if current not in found:
                found.add(current)
                waiting.extend(self._code_and_imports(current)[1])
        return sorted(found)

    def _code_and_imports(self, file: Path) -> tuple[str, list[Path]]:
        """What a file says, comments and layout aside, and the project files that it imports."""
        if file not in self._read:
            tree = ast.parse(file.read_text(encoding="utf-8"))
            imported = [place for module in _imported_modules(tree) for place in self._files_named(module)]
            self._read[file] = ast.dump(tree), imported
        return self._read[file]

    def _files_named(self, module: str) -> Iterator[Path]:
        # In an installed environment, other projects' packages are in the same folder.
        if module.startswith("rareneurons"):
            place = self.source.joinpath(*module.split("."))
            yield from (file for file in (place.with_suffix(".py"), place / "__init__.py") if file.exists())


def _imported_modules(tree: ast.AST) -> list[str]:
    """Dotted names that may be modules: of ``from a import b`` both ``a`` and ``a.b``."""
    modules = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            modules += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
    return modules
