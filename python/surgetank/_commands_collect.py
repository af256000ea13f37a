"""The command `collect`: from AWS into the store, its options and what it calls."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ._commands import _config, _open, _place, _progress, _text, made_now
from ._table import for_terminal

if TYPE_CHECKING:
    from .collect import CollectPlan
    from .config import Config
    from .history.anystore import AnyStore


def add_collect(command: Callable[..., argparse.ArgumentParser], where: argparse.ArgumentParser) -> None:
    """Add the command and its options."""
    help = "fetch quotas and usage from AWS: exit 0 all covered, 2 some not, 3 nothing"
    sub = command("collect", run_collect, help, where)
    sub.add_argument(
        "--accounts", metavar="FILE|ID,…", help="ids, a file of ids, or organization (default: the credentials' own)"
    )
    sub.add_argument("--role", metavar="NAME", help="IAM role to assume in every other account")
    sub.add_argument(
        "--regions", metavar="REGION,…", help="or all: those that each account has enabled (default: the environment's)"
    )
    sub.add_argument(
        "--watch", action="append", metavar="PATTERN",
        help="ec2, ec2/L-1216C47A, L-1216C47A, '*'; may be repeated (default: what a failover runs into first)",
    )  # fmt: skip
    sub.add_argument("--deny", action="append", metavar="PATTERN", help="never these; may be repeated")
    sub.add_argument("--backfill", metavar="TIME", help="how far back, where the store has no usage yet (default: 14d)")
    sub.add_argument("--period", metavar="TIME", help="between samples, from 1m to 1h (default: 5m)")
    sub.add_argument("--workers", type=int, metavar="N", help="accounts and Regions at the same time (default: 8)")
    sub.add_argument(
        "--rate", type=float, metavar="N", help="most calls a second to one account in one Region (default: 10)"
    )
    sub.add_argument("--now", metavar="INSTANT", help="up to that moment (default: now)")
    sub.add_argument("--json", action="store_true", help="as JSON")
    instead = sub.add_mutually_exclusive_group()
    instead.add_argument("--dry-run", action="store_true", help="list the calls, and make none")
    instead.add_argument("--iam-policy", action="store_true", help="print the least policy that these options need")


def run_collect(args: argparse.Namespace) -> int:
    """Ask AWS and store what it says; or say what would be asked."""
    from .collect import collect_into, dry_run, iam_policy

    config = _config(args)
    plan = _plan_of(args, config)
    if args.iam_policy:
        print(json.dumps(iam_policy(plan), indent=2))
        return 0
    if args.dry_run:
        lines = dry_run(plan)
        print(json.dumps(lines, indent=2) if args.json else for_terminal("\n".join(lines)))
        return 0
    made = []

    def opened() -> AnyStore:
        store = _open(args, config, create=True, timeout_s=60.0)
        made.append(made_now(store))
        return store

    with _progress("collecting") as progress:
        done = collect_into(opened, plan, args.now, progress, args.show_accounts)
    if args.json:
        print(json.dumps(done.to_dict(), indent=2))
    else:
        print(_text(done))
        print(for_terminal(f"\nThe store is {_place(args, config)}{made[0]}."))
    return done.exit_code


def _plan_of(args: argparse.Namespace, config: Config) -> CollectPlan:
    """The config's plan, with what the command line says instead."""
    from .collect.reading import accounts_of
    from .recovery.units import seconds_of

    given: dict[str, Any] = {name: getattr(args, name) for name in ("role", "watch", "deny", "workers", "rate")}
    given["accounts"] = None if args.accounts is None else accounts_of(args.accounts)
    given["regions"] = None if args.regions is None else [part.strip() for part in args.regions.split(",")]
    for name in ("backfill", "period"):
        text = getattr(args, name)
        given[f"{name}_s"] = None if text is None else seconds_of(text, f"--{name}")
    return replace(config.collect, **{name: value for name, value in given.items() if value is not None})
