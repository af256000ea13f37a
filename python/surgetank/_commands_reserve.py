"""The commands `reservations …`: promise room in quotas, hold it longer, give it back, and say who holds what."""

from __future__ import annotations

import argparse
import getpass
import json
from typing import TYPE_CHECKING, Any

from ._commands import FAILED, _config, _count, _open, _text, known_coordination
from ._table import for_terminal
from .errors import InvalidInput, nearest

if TYPE_CHECKING:
    from .history import QuotaKey
    from .history.anystore import AnyStore

REFUSED = 2
PATIENCE_S = 60.0  #: what must not fail because an import is under way waits for it


def run_reserve(args: argparse.Namespace) -> int:
    """Claim room in all the quotas that are named, or in none; exit 2 where that does not fit."""
    config = _config(args)
    with _open(args, config, timeout_s=PATIENCE_S) as store:
        found = store.reserve(
            amounts_of(store, args.amounts), hold_s=time_of(args.hold, "--hold"), coordination=args.coordination,
            token=args.token, by=by_whom(args), why=args.why, force=args.force, dry_run=args.dry_run,
            stale_after_s=stale_after(args, config), now=args.now,
        )  # fmt: skip
    _print(found, args)
    return 0 if found.granted and (found.stands or not found.done) else REFUSED


def run_resize(args: argparse.Namespace) -> int:
    """Change what a coordination holds; exit 2 where more does not fit."""
    config = _config(args)
    hold = None if args.hold is None else time_of(args.hold, "--hold")
    with _open(args, config, timeout_s=PATIENCE_S) as store:
        found = store.resize(
            args.coordination, amounts_of(store, args.amounts), hold_s=hold, by=by_whom(args), why=args.why,
            force=args.force, dry_run=args.dry_run, stale_after_s=stale_after(args, config), now=args.now,
        )  # fmt: skip
    _print(found, args)
    return 0 if found.granted else REFUSED


def run_renew(args: argparse.Namespace) -> int:
    """Hold it longer; exit 2 where nothing is held any more."""
    with _open(args, _config(args), timeout_s=PATIENCE_S) as store:
        found = store.renew(
            args.coordination, hold_s=time_of(args.hold, "--hold"), by=by_whom(args), why=args.why, now=args.now
        )
    _print(found, args)
    return 0 if len(found) else REFUSED


def run_release(args: argparse.Namespace) -> int:
    """Give back what a coordination holds, or its part in some quotas."""
    with _open(args, _config(args), timeout_s=PATIENCE_S) as store:
        keys = [key_of(store, pattern) for pattern in args.quota] if args.quota else None
        found = store.release(args.coordination, keys, by=by_whom(args), why=args.why, now=args.now)
    _print(found, args)
    return 0


def run_expire(args: argparse.Namespace) -> int:
    """Note what is overdue as expired, and with --purge forget what has ended long ago."""
    with _open(args, _config(args), timeout_s=PATIENCE_S) as store:
        found = store.expire(now=args.now)
        purged = store.purge_reservations(by=by_whom(args), now=args.now) if args.purge else 0
    if args.json:
        print(json.dumps({"expired": found.to_dict(), "purged": purged}, indent=2))
    else:
        print(f"{_count(len(found), 'reservation')} noted as expired, {purged:,} forgotten")
    return 0


def run_list(args: argparse.Namespace) -> int:
    """Say who holds what, until when; exit 2 where usage and reservations exceed a quota, 3 where that is not known."""
    with _open(args, _config(args), timeout_s=PATIENCE_S) as store:
        known_coordination(store, args)
        found = store.reservations(coordination=args.coordination, ended=args.all, now=args.now)
    _print(found, args)
    return REFUSED if found.over else FAILED if found.unknown else 0


def run_audit(args: argparse.Namespace) -> int:
    """Say who changed which reservation, when and why."""
    from .history.reservations import audit_text

    with _open(args, _config(args), timeout_s=PATIENCE_S) as store:
        known_coordination(store, args)
        lines = store.audit(coordination=args.coordination)
    if args.json:
        print(json.dumps([line.to_dict() for line in lines], indent=2))
    else:
        for line in lines:
            print(for_terminal(audit_text(line)))
    return 0


def by_whom(args: argparse.Namespace) -> str:
    """The name on the command line, or else that of the user of this machine."""
    if args.by is not None:
        return str(args.by)
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user may have no name
        return ""


def time_of(text: str, option: str) -> float:
    """A time such as 24h on the command line."""
    from .recovery.units import seconds_of

    return seconds_of(text, option)


def stale_after(args: argparse.Namespace, config: Any) -> float | None:
    """From when on usage says nothing: by the command line, the config, or the default."""
    return config.stale_after_s if args.stale_after is None else time_of(args.stale_after, "--stale-after")


def amounts_of(store: AnyStore, items: list[str]) -> dict[QuotaKey, float]:
    """What PATTERN=AMOUNT means, each pattern naming one quota of the store."""
    result: dict[QuotaKey, float] = {}
    for item in items:
        pattern, equals, amount = item.rpartition("=")
        try:
            value = float(amount)
        except ValueError:
            equals = ""
        if not equals or not pattern:
            raise InvalidInput(f"amounts: must be QUOTA=AMOUNT, such as us-west-2/ec2/L-1216C47A=20 (got {item!r})")
        key = key_of(store, pattern)
        if key in result:
            raise InvalidInput(f"amounts: must name each quota once (got {pattern!r} again)")
        result[key] = value
    return result


def key_of(store: AnyStore, pattern: str) -> QuotaKey:
    """The one quota of the store that a pattern names."""
    keys = dict.fromkeys((*(quota.key for quota in store.quotas()), *store.keys_with_usage()))
    found = [key for key in keys if key.matches(pattern)]
    if len(found) == 1:
        return found[0]
    if found:
        some = ", ".join(_spelled(key) for key in sorted(found)[:3])
        raise InvalidInput(f"quota: must name one quota; {len(found)} match: {some} (got {pattern!r})")
    known = [f"{key.region}/{key.quota_name}" for key in keys]
    raise InvalidInput(f"quota: must name a quota of the store{nearest(pattern, known)} (got {pattern!r})")


def _spelled(key: QuotaKey) -> str:
    """The pattern that names this quota alone."""
    from .history.keys import UNSTATED

    account = "" if key.account == UNSTATED else f"{key.account}/"
    return f"{account}{key.region}/{key.quota_name}"


def _print(found: Any, args: argparse.Namespace) -> None:
    print(json.dumps(found.to_dict(), indent=2, allow_nan=False) if args.json else _text(found))


def add_reservations(commands: Any, where: argparse.ArgumentParser) -> None:
    """The options of `reservations …`."""
    help = "promise room in quotas, hold it longer, give it back, and say who holds what"
    group = commands.add_parser("reservations", help=help, description=help)
    tasks = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    acting = actor_options("what for")

    def task(name: str, run: Any, help: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = tasks.add_parser(name, help=help, description=help, parents=[where, *parents])
        sub.add_argument("--now", metavar="INSTANT", help="the moment of it (default: the clock)")
        sub.add_argument("--json", action="store_true", help="as JSON")
        sub.set_defaults(run=run)
        return sub

    amounts = "such as us-west-2/ec2/L-1216C47A=20; all of them, or none"
    for name, run, help in (
        (
            "reserve",
            run_reserve,
            "claim room in all the quotas that are named, or in none; exit 2 where it does not fit",
        ),
        ("resize", run_resize, "change all that a coordination holds to these amounts; exit 2 where it does not fit"),
    ):
        sub = task(name, run, help, acting)
        if name == "resize":
            sub.add_argument("coordination", metavar="COORDINATION", help="whose")
        sub.add_argument("amounts", nargs="+", metavar="QUOTA=AMOUNT", help=amounts)
        usual = "24h" if name == "reserve" else None
        said = usual or "as long as it is held anyway"
        sub.add_argument("--hold", default=usual, metavar="TIME", help=f"for how long from now on (default: {said})")
        if name == "reserve":
            sub.add_argument("--coordination", metavar="NAME", help="what to call it (default: a random name)")
            sub.add_argument("--token", metavar="TEXT", help="the same claim under the same token is made once")
        sub.add_argument("--force", action="store_true", help="even where there is no room; needs --why, and is shown")
        sub.add_argument("--dry-run", action="store_true", help="say whether it fits, and change nothing")
        sub.add_argument("--stale-after", metavar="TIME", help="older usage is not known (default: 1h, or 12 steps)")

    sub = task("renew", run_renew, "hold it for so long from now on; exit 2 where nothing is held any more", acting)
    sub.add_argument("coordination", metavar="COORDINATION", help="whose")
    sub.add_argument("--hold", default="24h", metavar="TIME", help="for how long (default: 24h)")

    sub = task("release", run_release, "give back what a coordination holds", acting)
    sub.add_argument("coordination", metavar="COORDINATION", help="whose")
    sub.add_argument("quota", nargs="*", metavar="QUOTA", help="these alone (default: all)")

    sub = task("expire", run_expire, "note what is overdue as expired; its room is free already", acting)
    sub.add_argument("--purge", action="store_true", help="and forget what has ended, 7 days after it was made")

    sub = task("list", run_list, "who holds what, until when; exit 2 where a quota is oversold, 3 where not known")
    sub.add_argument("--coordination", metavar="NAME", help="of one alone")
    sub.add_argument("--all", action="store_true", help="what has ended as well")

    sub = task("audit", run_audit, "who changed what, when and why")
    sub.add_argument("--coordination", metavar="NAME", help="of one alone")


def actor_options(why: str) -> argparse.ArgumentParser:
    """Who, and why: for whatever is audited."""
    acting = argparse.ArgumentParser(add_help=False)
    acting.add_argument("--by", metavar="NAME", help="who does it (default: the user of this machine)")
    acting.add_argument("--why", default="", metavar="TEXT", help=f"{why}; kept with it")
    return acting
