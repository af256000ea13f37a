"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from .errors import InvalidInput, shown


def replace_text(place: Path, text: str) -> None:
    """Write a text under a temporary name beside the place, then rename it: whoever reads sees the old or the new.

    Links are followed; into a pipe or a device, which cannot be renamed over, the text goes as it is.

    Raises
    ------
    InvalidInput
        The file cannot be written; what was there stays.
    """
    name = None
    try:
        if place.exists() and not place.is_file():
            with place.open("w", encoding="utf-8") as file:
                file.write(text)
            return
        place = Path(os.path.realpath(place))
        handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name[:40]}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, place.stat().st_mode & 0o777 if place.exists() else 0o644)
        os.replace(name, place)
    except OSError as error:
        if name is not None:
            Path(name).unlink(missing_ok=True)
        raise InvalidInput(f"{place.name}: must be writable: {error.strerror} (got {shown(str(place))})") from error
