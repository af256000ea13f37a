"""Where a store is: a file, or an address such as ``dynamodb://prefix?region=us-east-1``; and how it is opened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from .._bridge import Duration
from ..errors import StoreError, invalid
from .dynamodb.address import SCHEME, Address

if TYPE_CHECKING:
    from .anystore import AnyStore

Place = Path | Address


def place_of(text: str, folder: Path | None = None) -> Place:
    """A place as it is written; a path is relative to ``folder``."""
    if Address.is_one(text):
        return Address.of(text)
    if "://" in text or text.startswith("arn:"):
        raise invalid("store", f"must be a path, or {SCHEME}://PREFIX?region=REGION", text)
    return Path(text) if folder is None else folder / text


def open_store(
    place: str | os.PathLike[str] | Address, *, create: bool = False, timeout_s: Duration | None = None
) -> AnyStore:
    """Open a store, wherever it is.

    Parameters
    ----------
    place : path or address
        The path of a file (`Store`), or ``dynamodb://prefix?region=us-east-1`` (`DynamoStore`).
    create : bool, default False
        Make it where there is none.
    timeout_s : float (seconds), optional
        How long to wait for others who write. Default: 5 s for a file, 30 s for DynamoDB.

    Returns
    -------
    Store or DynamoStore

    Raises
    ------
    InvalidInput
        Neither a path nor an address.
    StoreError
        There is none, or it cannot be opened.

    Examples
    --------
    >>> import surgetank, tempfile
    >>> with tempfile.TemporaryDirectory() as folder, surgetank.open_store(f"{folder}/fleet.db", create=True) as store:
    ...     type(store).__name__
    'Store'
    """
    found = place_of(place) if isinstance(place, str) else place
    waits = {} if timeout_s is None else {"timeout_s": timeout_s}
    if isinstance(found, Address):
        from .dynamodb.store import DynamoStore

        return DynamoStore(found.prefix, found.region, create=create, **waits)
    if not isinstance(found, os.PathLike):
        raise invalid("place", "must be a path, or dynamodb://PREFIX?region=REGION", place)
    from .sqlite import Store

    return Store(found, create=create, **waits)  # type: ignore[arg-type]


def is_there(place: Place) -> bool:
    """Whether there is a store, or something else in its place."""
    if isinstance(place, Path):
        return place.exists()
    from .dynamodb.calls import NOT_THERE

    try:
        open_store(place).close()
    except StoreError as error:
        if error.code == NOT_THERE:
            return False
        raise
    return True
