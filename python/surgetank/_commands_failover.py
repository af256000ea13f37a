"""The commands `failover …`: prepare, activate, replan, recover, cancel; a dry run unless --yes is given."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ._commands import _config, _open, _text
from ._commands_reserve import PATIENCE_S, REFUSED, actor_options, amounts_of, by_whom, stale_after
from ._table import for_terminal

if TYPE_CHECKING:
    from .allocation import Proportional
    from .config import Config
    from .failover import Move


def run_prepare(args: argparse.Namespace) -> int:
    """Reserve room for what the Regions use now, and list what to pre-warm."""
    from .failover import prepare_failover

    config = _config(args)
    with _open(args, config, timeout_s=PATIENCE_S) as store:
        move = prepare_failover(
            store, args.regions, name=args.name, rule=_sharing(args, config), eligible=_eligible(config),
            critical=_critical(args, config), stale_after_s=stale_after(args, config), **_words(args),
        )  # fmt: skip
    return _print(move, args)


def run_activate(args: argparse.Namespace) -> int:
    """Send the load over; in an emergency without preparation."""
    from .failover import activate_failover

    config = _config(args)
    with _open(args, config, timeout_s=PATIENCE_S) as store:
        move = activate_failover(
            store, args.name, emergency=args.emergency, failed=args.fail,
            rule=_sharing(args, config) if args.sharing or args.emergency else None, eligible=_eligible(config),
            critical=_critical(args, config) if args.critical is not None or args.emergency else None,
            landed=amounts_of(store, args.landed) if args.landed else None,
            stale_after_s=stale_after(args, config), **_words(args),
        )  # fmt: skip
    return _print(move, args)


def run_replan(args: argparse.Namespace) -> int:
    """Share out again what has not landed yet, by what is used now."""
    from .failover import replan_failover

    config = _config(args)
    with _open(args, config, timeout_s=PATIENCE_S) as store:
        landed = amounts_of(store, args.landed) if args.landed else None
        move = replan_failover(store, args.name, landed=landed, stale_after_s=stale_after(args, config), **_words(args))
    return _print(move, args)


def run_recover_step(args: argparse.Namespace) -> int:
    """Take the next step of the failback."""
    from .failover import recover_failover

    with _open(args, _config(args), timeout_s=PATIENCE_S) as store:
        move = recover_failover(store, args.name, early=args.early, **_words(args))
    return _print(move, args)


def run_cancel(args: argparse.Namespace) -> int:
    """Give up what was prepared."""
    from .failover import cancel_failover

    with _open(args, _config(args), timeout_s=PATIENCE_S) as store:
        move = cancel_failover(store, args.name, **_words(args))
    return _print(move, args)


def run_status(args: argparse.Namespace) -> int:
    """Say where each failover stands, and how it came there."""
    from .failover.standing import standing, standing_text

    with _open(args, _config(args), timeout_s=PATIENCE_S) as store:
        found = standing(store, args.name, args.now)
    print(json.dumps(found, indent=2) if args.json else for_terminal(standing_text(found)))
    return REFUSED if any(one["lapsed"] for one in found) else 0


def _words(args: argparse.Namespace) -> dict[str, Any]:
    return {"act": args.yes, "by": by_whom(args), "why": args.why, "now": args.now}


def _sharing(args: argparse.Namespace, config: Config) -> Proportional:
    from .allocation import Proportional

    rule = Proportional.named(args.sharing) if args.sharing else config.sharing
    cap = 1.0 if config.survive is None else config.survive.share_cap
    return replace(rule, share_cap=cap) if cap < 1 else rule


def _critical(args: argparse.Namespace, config: Config) -> float:
    if args.critical is not None:
        return float(args.critical)
    return 1.0 if config.survive is None else config.survive.critical


def _eligible(config: Config) -> Any:
    return None if config.survive is None else config.survive.eligible


def _print(move: Move, args: argparse.Namespace) -> int:
    if args.json:
        print(json.dumps(move.to_dict(), indent=2, allow_nan=False))
    else:
        done = "done" if move.done else "not done" if not move.granted else "a dry run; --yes does it"
        print(f"{_text(move)}\nexit {move.exit_code}: {done}{'' if move.ok or not move.granted else ', but see above'}")
    return move.exit_code


def add_failover(commands: Any, where: argparse.ArgumentParser) -> None:
    """The options of `failover …`."""
    help = "one failover from preparation to failback: a dry run unless --yes is given"
    group = commands.add_parser("failover", help=help, description=help)
    tasks = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    acting = actor_options("the reason")
    acting.add_argument("--yes", action="store_true", help="do it (default: say what would be done)")

    def task(name: str, run: Any, help: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = tasks.add_parser(name, help=help, description=help, parents=[where, *parents])
        sub.add_argument("--now", metavar="INSTANT", help="the moment of it (default: the clock)")
        sub.add_argument("--json", action="store_true", help="as JSON")
        sub.set_defaults(run=run)
        return sub

    placing = argparse.ArgumentParser(add_help=False)
    help = "what of the load counts in a quota's usage already (default: nothing, once active its growth); repeatable"
    landing = argparse.ArgumentParser(add_help=False)
    landing.add_argument("--landed", action="append", default=[], metavar="QUOTA=AMOUNT", help=help)
    placing.add_argument("--stale-after", metavar="TIME", help="older usage is not known (default: 1h, or 12 steps)")
    sharing = argparse.ArgumentParser(add_help=False)
    sharing.add_argument("--sharing", metavar="NAME", help="how, such as regional_disaster_recovery")
    sharing.add_argument("--critical", type=float, metavar="SHARE", help="of every load, what must be placed")

    help = "reserve room for what Regions use now, and list what to pre-warm; exit 2 where some finds no room"
    sub = task("prepare", run_prepare, help, acting, placing, sharing)
    sub.add_argument("regions", nargs="+", metavar="REGION", help="what is given up; several fail together")
    sub.add_argument("--name", help="what to call the failover (default: its Regions, joined by +)")

    sub = task(
        "activate", run_activate, "send the load over, into the room that is held", acting, placing, landing, sharing
    )
    sub.add_argument("name", metavar="NAME", help="of a failover; in an emergency, of a Region")
    help = "without preparation; what is critical takes all there is, the rest is shed first; needs --why"
    sub.add_argument("--emergency", action="store_true", help=help)
    help = "with --emergency: what is given up (default: the name)"
    sub.add_argument("--fail", action="append", metavar="REGION", help=help)

    sub = task(
        "replan", run_replan, "share out again what has not landed, by what is used now", acting, placing, landing
    )
    sub.add_argument("name", metavar="NAME", help="of a failover")

    help = "the next step of the failback: a tenth, half, then all of the load; exit 2 before it is due"
    sub = task("recover", run_recover_step, help, acting)
    sub.add_argument("name", metavar="NAME", help="of a failover")
    sub.add_argument("--early", action="store_true", help="before it is due; needs --why")

    sub = task("cancel", run_cancel, "give up what was prepared, and the room that is held for it", acting)
    sub.add_argument("name", metavar="NAME", help="of a failover")

    sub = task(
        "status",
        run_status,
        "where each failover stands, and who brought it there, when and why; exit 2 where its room has expired",
    )
    sub.add_argument("name", nargs="?", metavar="NAME", help="one alone")
