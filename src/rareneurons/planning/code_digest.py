"""A digest of the code that a job runs: its script and all project code that this imports.

A parameter of every rule. Snakemake itself neither sees an edited import nor, once files carry new dates, that nothing
was edited.
"""

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path


class ProjectCode:
    """The Python files of a project.

    A file is read once: one object serves one plan.
    """

    def __init__(self, source: Path, scripts: Path) -> None:
        """Take modules of packages from ``source`` and modules beside the scripts from ``scripts``."""
        self.source, self.scripts = source, scripts
        self._read: dict[Path, tuple[str, list[Path]]] = {}

    def digest(self, script: str, *modules: str) -> str:
        """Digest of a script, of modules that it imports by name while it runs, and of all that these import.

        Comments and layout do not count. Templates beside a module (``templates/*``) do.

        Args:
            script: name of a script, without its ending.
            modules: dotted names.

        Raises:
            FileNotFoundError: there is no such script or module.
        """
        return self._digest_of([self.scripts / f"{script}.py", *map(self.file_of, modules)])

    def file_of(self, module: str) -> Path:
        """The file of a module of the project.

        Raises:
            FileNotFoundError: there is none.
        """
        files = self._files_named(module)
        if not files:
            raise FileNotFoundError(f"{module}: no such module below {self.source} or {self.scripts}")
        return files[0]

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

    def _digest_of(self, files: Iterable[Path]) -> str:
        digest = hashlib.sha256()
        read = self.imported_files(files)
        for file in read:
            digest.update(self._code_and_imports(file)[0].encode())
        for folder in sorted({file.parent for file in read}):
            for template in sorted(folder.glob("templates/*")):
                digest.update(template.read_bytes())
        return digest.hexdigest()[:16]

    def _code_and_imports(self, file: Path) -> tuple[str, list[Path]]:
        """What a file says, comments and layout aside, and the project files that it imports."""
        if file not in self._read:
            tree = ast.parse(file.read_text(encoding="utf-8"))
            imported = [place for module in _imported_modules(tree) for place in self._files_named(module)]
            self._read[file] = ast.dump(tree), imported
        return self._read[file]

    def _files_named(self, module: str) -> list[Path]:
        place = Path(*module.split("."))
        candidates = (
            self.source / place.with_suffix(".py"),
            self.source / place / "__init__.py",
            self.scripts / place.with_suffix(".py"),
        )
        return [file for file in candidates if file.exists()]


def _imported_modules(tree: ast.AST) -> list[str]:
    """Dotted names that may be modules: of ``from a import b`` both ``a`` and ``a.b``."""
    modules = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            modules += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
    return modules
