"""Packages whose name is also that of a public function: ``rareneurons.influence`` holds modules and can be called.

It uses only the standard library, because jobs import the packages that use it and may need nothing else of them.
"""

import sys
from importlib import import_module
from inspect import Signature, signature
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    def _function(self) -> Any:
        return getattr(import_module("rareneurons.inspection"), self.__name__.removeprefix("rareneurons."))

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self._function()(*args, **named)

    @property
    def __signature__(self) -> Signature:
        return signature(self._function())


def make_callable(package: str) -> None:
    """Let calls of a package, ``rareneurons.<name>``, be calls of ``rareneurons.inspection.<name>``."""
    sys.modules[package].__class__ = _CallablePackage
