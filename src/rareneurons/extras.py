"""Packages that only part of the library needs, and the extra of pyproject.toml that brings them."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Name the extra if an import below fails.

    Args:
        extra: its name in pyproject.toml, such as ``report``.

    Raises:
        ModuleNotFoundError: a package is not installed; the message says which, and how to install it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{error.name} is not installed. It comes with the extra {extra!r}: pip install 'rareneurons[{extra}]'",
            name=error.name,
        ) from None
