"""The command `allocate`: beforehand, how much headroom where; in the event, who takes how much."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from ._commands import _busy, _config, _open, _progress, _text, known_coordination
from .errors import InvalidInput

if TYPE_CHECKING:
    from .config import Config
    from .history import History


def run_allocate(args: argparse.Namespace) -> int:
    """Read the store; then plan for a failure, or share out one that is happening."""
    config = _config(args)
    with _open(args, config) as store, _progress("reading the store") as progress:
        step_s = config.step_s if args.step is None else args.step
        known_coordination(store, args)
        history = store.history(step_s=step_s, until=args.now, progress=progress, coordination=args.coordination)
        history = history.complete()
    config.check(history.keys)
    history = _only(history, args.quota).until(args.now)
    return _event(args, config, history) if args.fail else _beforehand(args, config, history)


def _beforehand(args: argparse.Namespace, config: Config, history: History) -> int:
    from .allocation import Survive
    from .plan import allocation_of

    if args.sharing:
        raise InvalidInput(f"--sharing: is for --fail REGION (got {args.sharing!r})")
    given = {name: value for name in ("critical", "share_cap", "at") if (value := getattr(args, name)) is not None}
    if args.survive:
        given["failures"] = f"N-{args.survive}"
    if config.survive is None and not args.survive:
        raise InvalidInput("--survive: must be given, since survive is empty in [allocation] (got nothing)")
    asked = replace(config.survive or Survive(), **given)
    with _busy("allocating"):
        found = allocation_of(history, asked, config.costs) or asked.of(history)  # which says what is lacking
    shown = found.transfers if args.transfers else found
    if args.json:
        records = {"transfers": found.transfers.to_records()} if args.transfers else {}
        print(json.dumps({**found.to_dict(), **records}, indent=2, allow_nan=False))
    else:
        print(_text(shown))
    return 0


def _event(args: argparse.Namespace, config: Config, history: History) -> int:
    from .allocation import Proportional, Survive, evacuate

    for name in ("critical", "at", "transfers"):
        if getattr(args, name) not in (None, False):
            raise InvalidInput(f"--{name}: is for planning beforehand, without --fail (got {getattr(args, name)!r})")
    rule = Proportional.named(args.sharing) if args.sharing else config.sharing
    asked = config.survive or Survive()
    cap = asked.share_cap if args.share_cap is None else args.share_cap
    if cap < 1:
        rule = replace(rule, share_cap=cap)
    found = evacuate(history, args.fail, rule, eligible=asked.eligible)
    if args.json:
        head = {"failed": list(found.failed), "shortfall": found.shortfall, "left_out": list(found.left_out)}
        print(json.dumps({**head, "rows": found.to_records()}, indent=2, allow_nan=False))
    else:
        print(_text(found))
    return 0


def _only(history: History, pattern: str | None) -> History:
    """The quotas that a pattern names."""
    from .plan import matching

    if pattern is None:
        return history
    chosen = matching(history.keys, pattern, "quota")
    keys = tuple(history.keys[i] for i in chosen)
    quotas = {key: quota for key, quota in history.quotas.items() if key in keys}
    return replace(history, keys=keys, usage=history.usage[:, chosen], quotas=quotas)
