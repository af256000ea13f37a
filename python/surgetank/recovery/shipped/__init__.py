"""Runbooks that come with surgetank: TOML files beside this one, to estimate with or to start one's own from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import invalid, nearest

if TYPE_CHECKING:
    from ..runbook import Runbook


def shipped_names() -> tuple[str, ...]:
    """The names of the shipped runbooks, sorted.

    Examples
    --------
    >>> len(shipped_names())
    11
    """
    from importlib import resources

    files = (file.name for file in resources.files(__package__).iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml")))


def shipped_text(name: str) -> str:
    """The file of a shipped runbook, with its comments: which figures are published, which are assumed."""
    from importlib import resources

    if not isinstance(name, str) or name not in (names := shipped_names()):
        hint = nearest(name[:60], names) if isinstance(name, str) else ""
        raise invalid("name", f"must be a shipped runbook{hint}", name)
    return resources.files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8")


def shipped_runbook(name: str) -> Runbook:
    """Read a shipped runbook.

    Parameters
    ----------
    name : str
        One of `shipped_names`.

    Raises
    ------
    InvalidInput
        No such name; the nearest one is named.

    Examples
    --------
    >>> shipped_runbook("rds-multi-az").names
    ('fail over', 'reconnect')
    """
    from ..reading import parse_runbook

    return parse_runbook(shipped_text(name), f"{name}.toml")
