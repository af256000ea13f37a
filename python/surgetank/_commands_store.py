"""The commands `store check`, `store backup` and `store compact`: what keeps a store well."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ._commands import _busy, _config, _open, _place
from ._table import for_terminal

DAMAGED = 2


def run_store_check(args: argparse.Namespace) -> int:
    """Say what the store holds and what of it is damaged; exit 2 where anything is."""
    from .history.soundness import TIMEOUT_S, check_store

    config = _config(args)
    place = _place(args, config)
    with _busy("checking the store"):
        if isinstance(place, Path):
            found = check_store(place, TIMEOUT_S)  # not by a Store, which would bring an older schema up to date
        else:
            with _open(args, config) as store:
                found = store.check()
    _print(found, args)
    return 0 if found.sound else DAMAGED


def run_store_backup(args: argparse.Namespace) -> int:
    """Copy the store, of whatever schema version, and check the copy."""
    from .history.backup import backup_store
    from .history.soundness import TIMEOUT_S

    config = _config(args)
    place = _place(args, config)
    with _busy("copying the store"):
        if isinstance(place, Path):
            made = backup_store(place, args.file, TIMEOUT_S, force=args.force)
        else:
            with _open(args, config) as store:
                made = store.backup(args.file, force=args.force)
    _print(made, args)
    return 0


def run_store_compact(args: argparse.Namespace) -> int:
    """Say which usage is older than what is kept, and with --yes remove it; then rewrite the file."""
    from .config import keep_of

    config = _config(args)
    keep_s = config.keep_s if args.keep is None else keep_of(args.keep, "--keep")
    with _open(args, config) as store, _busy("compacting the store"):
        found = store.compact(keep_s=keep_s, remove=args.yes)
    _print(found, args)
    return 0


def run_store_template(args: argparse.Namespace) -> int:
    """Print the tables of a store in DynamoDB, for CloudFormation."""
    from .errors import InvalidInput
    from .history.dynamodb.tables import template

    place = _place(args, _config(args))
    if isinstance(place, Path):
        raise InvalidInput(f"--store: must be dynamodb://PREFIX, which has tables (got {str(place)!r})")
    print(json.dumps(template(place.prefix), indent=2))
    return 0


def _print(found: Any, args: argparse.Namespace) -> None:
    print(json.dumps(found.to_dict(), indent=2) if args.json else for_terminal(str(found)))
