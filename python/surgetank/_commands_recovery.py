"""The commands `recover`, `runbooks` and `compare`: will service be back in time, by which runbook, at what cost?"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ._commands import _busy, _config, _open, _planned, _progress, _text
from ._table import for_terminal
from .errors import InvalidInput, nearest

if TYPE_CHECKING:
    from ._table import Tabular
    from .recovery import Capacity, Runbook

#: With --probability, where the target is not met often enough.
NOT_MET = 2
#: … or where it may not be, for lack of what is known.
UNKNOWN = 3


def run_recover(args: argparse.Namespace) -> int:
    """Estimate; exit 2 where --probability is asked for and not reached."""
    from .recovery import estimate_recovery

    runbook = _runbook(args, args.runbook)
    target, rpo_target = _seconds(args.target, "--target"), _seconds(args.rpo, "--rpo")
    if args.probability is not None and not 0 <= args.probability <= 1:
        raise InvalidInput(f"--probability: must be a fraction in [0, 1] (got {args.probability:g})")
    if args.probability is not None and target is None and runbook.target_s is None:
        raise InvalidInput(f"--probability: needs --target, or a runbook that states one (got {args.probability:g})")
    capacity = _capacity(args, [runbook])
    with _progress("drawing") as progress:
        found = estimate_recovery(
            runbook, target_s=target, rpo_target_s=rpo_target, clock=args.clock, capacity=capacity,
            trials=_trials(args.trials), width=args.width, seed=args.seed, threads=args.threads, progress=progress,
        )  # fmt: skip
    tables: dict[str, Tabular] = {"": found}
    if args.steps:
        tables["steps"] = found.steps
    if found.shortage is not None and found.shortage.lacking.size:
        tables["shortage"] = found.shortage
        if args.probability is not None and found.probability < args.probability:
            tables["headroom"] = found.shortage.headroom_for(args.probability)
    if args.what_if:
        with _busy("what if"):
            tables["what_if"] = found.what_if()
    if args.against:
        from .recovery.targets import judge, target_set

        with _busy("judging"):
            tables["against"] = judge(found, target_set(args.against))
    if args.json:
        more = {name: tables[name].to_records() for name in ("headroom", "what_if", "against") if name in tables}
        print(json.dumps({**found.to_dict(), **more}, indent=2, allow_nan=False))
    else:
        print("\n\n".join(_text(table) for table in tables.values()))
    if args.probability is None:
        return 0
    both = found.probability if found.rpo_target_s is None else found.both_probability
    if both < args.probability:
        return NOT_MET
    if found.shortage is not None and found.shortage.coupling.unknown:
        print("surgetank: met, but room in quotas that are unknown was not looked at", file=sys.stderr)
        return UNKNOWN
    return 0


def run_runbooks(args: argparse.Namespace) -> int:
    """List the shipped runbooks, or show one."""
    from .recovery import runbook_toml
    from .recovery.listing import Listing
    from .recovery.shipped import shipped_names, shipped_text

    if args.runbook is None:
        listing = Listing.shipped()
        print(json.dumps(listing.to_records(), indent=2) if args.json else _text(listing))
        return 0
    runbook = _runbook(args, args.runbook)
    if args.toml:
        shipped = args.runbook in shipped_names() and not Path(args.runbook).exists()
        print((shipped_text(args.runbook) if shipped else runbook_toml(runbook)).rstrip())
    else:
        print(json.dumps(runbook.to_records(), indent=2) if args.json else _text(runbook))
    return 0


def run_compare(args: argparse.Namespace) -> int:
    """Put runbooks side by side."""
    from .recovery.comparison import compare_runbooks

    names: Sequence[str] = args.runbooks or ("backup-restore", "pilot-light", "warm-standby", "active-active")
    runbooks = [_runbook(args, name) for name in names]
    target, rpo_target = _seconds(args.target, "--target"), _seconds(args.rpo, "--rpo")
    capacity = _capacity(args, runbooks)
    with _busy("drawing"):
        found = compare_runbooks(
            runbooks, target_s=target, rpo_target_s=rpo_target, capacity=capacity, trials=_whole(args.trials, ""),
            seed=args.seed, threads=args.threads,
        )  # fmt: skip
    print(json.dumps(found.to_records(), indent=2, allow_nan=False) if args.json else _text(found))
    return 0


def _runbook(args: argparse.Namespace, name: str) -> Runbook:
    """A file, or a shipped runbook by its name."""
    from .recovery import read_runbook, shipped_names, shipped_runbook

    path, given = Path(name), {"workflow": getattr(args, "workflow", None), "region": getattr(args, "region", None)}
    if path.is_file() or path.suffix or (path.exists() and name not in shipped_names()):
        return read_runbook(path, **given)
    for option, value in given.items():
        if value is not None:
            raise InvalidInput(f"--{option}: is for a Region switch plan in a file (got {value!r})")
    if name in shipped_names():
        return shipped_runbook(name)
    shown = for_terminal(name[:60])
    raise InvalidInput(f"RUNBOOK: must be a file, or shipped{nearest(name[:60], shipped_names())} (got {shown!r})")


def _capacity(args: argparse.Namespace, runbooks: Sequence[Runbook]) -> Capacity | None:
    """What the store's plan leaves free, where steps need it and there is a store."""
    from .history.places import is_there
    from .recovery import Capacity

    needed = any(runbook.capacity for runbook in runbooks)
    config = _config(args)
    given = {name: getattr(args, name) for name in ("event", "raised", "lead_time", "denial")}
    asked = {name: value for name, value in given.items() if value is not None}
    if args.no_capacity or not needed or not (args.store or is_there(config.store)):
        for name, value in asked.items():
            option = name.replace("_", "-")
            raise InvalidInput(f"--{option}: is for a store, and steps that need room in it (got {value!r})")
        return None
    if "lead_time" in asked:
        asked["lead_time"] = _seconds(args.lead_time, "--lead-time")
    with _open(args, config) as store:
        _, plan = _planned(args, config, store)
    return Capacity(plan, **asked)


def _seconds(text: str | None, option: str) -> float | None:
    from .recovery.units import seconds_of

    return None if text is None else seconds_of(text, option)


def _trials(text: str) -> int | str:
    return "auto" if text == "auto" else _whole(text)


def _whole(text: str, more: str = ", or auto") -> int:
    plain = text.replace("_", "").replace(",", "")
    if not plain.isdecimal() or len(plain) > 12:
        raise InvalidInput(f"--trials: must be a whole number{more} (got {text[:40]!r})")
    return int(plain)
