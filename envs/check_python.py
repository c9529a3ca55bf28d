"""Says what keeps a Python from holding the locked packages, before `make` installs anything."""

import importlib.util
import sys

# Python 3.14 lacks a wheel of `immutables`, which Snakemake needs: pip would build it with a C compiler.
FIRST, LAST = (3, 11), (3, 13)

if __name__ == "__main__":
    if not FIRST <= sys.version_info[:2] <= LAST:
        sys.exit(
            f"Python 3.11, 3.12 or 3.13 is needed; found {sys.version.split()[0]} at {sys.executable}. "
            "Try: make PYTHON=python3.12 ..."
        )
    if not all(map(importlib.util.find_spec, ("venv", "ensurepip"))):
        sys.exit(
            f"{sys.executable} cannot make virtual environments: Python's module venv is incomplete. "
            f"On Debian and Ubuntu: sudo apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        )
