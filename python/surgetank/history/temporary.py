"""Temporary files: gone when they are closed, and where there is no room for them, that is said."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from typing import Any

from ..errors import StoreError


@contextlib.contextmanager
def room(what: str = "written") -> Iterator[None]:
    """Using a temporary file: an error of the system becomes one of ours."""
    try:
        yield
    except OSError as error:
        try:
            where = f"the folder for temporary files, {tempfile.gettempdir()}"
        except OSError:
            where = "the folder for temporary files"
        reason = error.strerror or str(error)
        raise StoreError(f"{where}, cannot be {what}: {reason}; nothing was changed (TMPDIR names it)") from error


def temporary_file() -> Any:
    """A new one, open for writing and reading, which no other program sees."""
    with room():
        return tempfile.TemporaryFile(prefix="surgetank-")
