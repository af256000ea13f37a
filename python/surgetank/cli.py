"""The command line: which commands and options there are, and how each call ends."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from . import (
    __version__,
    _commands,
    _commands_allocation,
    _commands_backtest,
    _commands_collect,
    _commands_failover,
    _commands_import,
    _commands_recovery,
    _commands_reserve,
    _commands_store,
    _commands_test,
)
from ._commands import CONFIG, FAILED, POLICY_NAMES
from ._table import accounts_shown, for_terminal
from .errors import SurgetankError


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(FAILED, f"surgetank: {message}\n{self.format_usage()}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; give its exit code. Errors are one line on standard error."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a terminal without − and × still gets its verdict
    args = _parser().parse_args(argv)
    with accounts_shown(getattr(args, "show_accounts", False)):
        return _ended(args)


def _ended(args: argparse.Namespace) -> int:
    try:
        code: int = args.run(args)
        sys.stdout.flush()
        return code
    except SurgetankError as error:
        print(f"surgetank: {for_terminal(str(error))}", file=sys.stderr)
        for other in getattr(error, "others", ()):
            print(f"  also {for_terminal(other)}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("surgetank: interrupted; nothing was half done", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        print(f"surgetank: cannot read or write: {for_terminal(str(error))}", file=sys.stderr)
        return FAILED
    except Exception as error:
        if os.environ.get("SURGETANK_DEBUG"):
            raise
        hint = "please report it with the traceback that SURGETANK_DEBUG=1 shows"
        print(f"surgetank: internal error, {type(error).__name__}: {for_terminal(str(error))}; {hint}", file=sys.stderr)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="surgetank",
        description="Is there enough headroom between usage and quotas to survive the loss of a Region?",
        epilog="Start with `surgetank demo`, or `surgetank init` and `surgetank import FILE`.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--config", type=Path, metavar="FILE", help=f"TOML file (default: {CONFIG} where there is one)")
    where.add_argument(
        "--store", metavar="FILE|dynamodb://…", help="the store (default: the config's, or surgetank.db)"
    )
    where.add_argument(
        "--show-accounts", action="store_true", help="account ids in full (default: their last four digits, as …3333)"
    )

    reading = argparse.ArgumentParser(add_help=False)
    options = reading.add_argument_group("how files are read")
    options.add_argument("--tz", metavar="ZONE", help="zone of instants that state none, such as UTC or Europe/Berlin")
    options.add_argument(
        "--column", action="append", default=[], metavar="FIELD=HEADER",
        help="where the headers are not timestamp, account, region, service_code, quota_code, usage, quota, unit",
    )  # fmt: skip
    options.add_argument(
        "--series", metavar="PATTERN", help="headers of a wide table, such as '{region}.{service_code}'"
    )
    for name in ("account", "region", "service-code", "quota-code"):
        options.add_argument(f"--{name}", metavar="NAME", help="the same for every row")

    def command(
        name: str, run: Callable[[argparse.Namespace], int], help: str, *parents: Any
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help, parents=[*parents])
        sub.set_defaults(run=run)
        return sub

    sub = command("demo", _commands.run_demo, "make a sample world in an embedded store and plan it")
    sub.add_argument("--dir", type=Path, default=Path("demo"), help="folder to make (default: demo)")
    sub.add_argument("--seed", type=int, default=7, help="another seed is another world")

    sub = command("init", _commands.run_init, f"write a commented {CONFIG}")
    sub.add_argument("--config", type=Path, default=Path(CONFIG), metavar="FILE", help="where to write it")
    sub.add_argument("--force", action="store_true", help="replace a file that is there")

    sub = command(
        "import",
        _commands_import.run_import,
        "add usage and quotas from files to the store, all or nothing",
        where,
        reading,
    )
    sub.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="usage or quotas, by content: CSV, Parquet, Arrow, JSON of the AWS CLI or Prometheus; - is a pipe",
    )
    sub.add_argument(
        "--quotas", action="append", default=[], type=Path, metavar="FILE", help="a file that lists quotas"
    )
    choices = ("refuse", "missing")
    sub.add_argument(
        "--negative", choices=choices, default="refuse", help="usage below 0: refuse the file, or not observed"
    )
    sub.add_argument(
        "--bad", choices=("refuse", "skip"), default="refuse",
        help="rows of usage that cannot be read: refuse the file, or leave them out and count them",
    )  # fmt: skip
    sub.add_argument("--dry-run", action="store_true", help="read and report, and store nothing")
    sub.add_argument("--json", action="store_true", help="the report as JSON, quota by quota")

    _commands_collect.add_collect(command, where)

    planning = argparse.ArgumentParser(add_help=False)
    planning.add_argument(
        "--scenario", action="append", metavar="WORD", help="N-1, N-2, shipped, or one by name (default: the config's)"
    )
    planning.add_argument(
        "--policy", choices=POLICY_NAMES, help="how much is needed (default: the config's, or quantile)"
    )
    planning.add_argument("--risk", type=float, metavar="FRACTION", help="risk of the quantile policy (default: .001)")
    planning.add_argument("--step", type=float, metavar="SECONDS", help="step of the history (default: median spacing)")
    planning.add_argument("--coordination", metavar="NAME", help="whose reservations are your own, and free to you")
    planning.add_argument("--now", metavar="INSTANT", help="plan for that moment (default: the last sample)")
    planning.add_argument("--json", action="store_true", help="as JSON")

    sub = command("plan", _commands.run_plan, "what every quota needs, has and lacks", where, planning)
    sub.add_argument("--html", type=Path, metavar="FILE", help="also write the table as an HTML page")
    sub.add_argument("--beside", choices=POLICY_NAMES, help="show this policy's answer side by side")

    sub = command(
        "check", _commands.run_check, "exit 2 on CRITICAL, 3 on UNKNOWN, 1 on WARNING, else 0", where, planning
    )
    sub.add_argument(
        "--require", action="append", metavar="PATTERN", help="these must be known (default: all with a value)"
    )
    sub.add_argument("--min-coverage", type=float, metavar="FRACTION", help="share of all quotas that must be known")

    _commands_test.add_test(command)

    sub = command(
        "allocate",
        _commands_allocation.run_allocate,
        "the cheapest headroom that survives, and who takes how much",
        where,
    )
    asked = sub.add_mutually_exclusive_group()
    asked.add_argument(
        "--survive",
        metavar="K",
        choices=("1", "2", "3"),
        help="any K Regions at once: 1, 2 or 3 (default: the config's, 1)",
    )
    asked.add_argument(
        "--fail",
        action="append",
        metavar="REGION",
        help="in the event: share out what it uses now; several together",
    )
    sub.add_argument("--quota", metavar="PATTERN", help="such as ec2/L-1216C47A (default: all)")
    sub.add_argument("--critical", type=float, metavar="SHARE", help="share of the load that must survive (default: 1)")
    sub.add_argument("--share-cap", type=float, metavar="SHARE", help="most that one Region takes (default: 1)")
    sub.add_argument("--at", choices=("history", "last"), help="every moment of 30 days, or the last usage")
    sub.add_argument("--sharing", metavar="NAME", help="with --fail: how, such as regional_disaster_recovery")
    sub.add_argument("--transfers", action="store_true", help="who takes how much in each failure that is survived")
    sub.add_argument("--step", type=float, metavar="SECONDS", help="step of the history (default: median spacing)")
    sub.add_argument("--coordination", metavar="NAME", help="whose reservations are your own, and free to you")
    sub.add_argument("--now", metavar="INSTANT", help="allocate for that moment (default: the last sample)")
    sub.add_argument("--json", action="store_true", help="as JSON")

    _add_recovery(command, where)
    _add_backtest(command, where)
    _add_store(commands, where)
    _commands_reserve.add_reservations(commands, where)
    _commands_failover.add_failover(commands, where)

    sub = command("spikes", _commands.run_spikes, "which series have spikes, and when", where, reading)
    sub.add_argument("file", nargs="?", type=Path, metavar="FILE", help="a file instead of the store")
    sub.add_argument("--detector", help="adaptive, or rolling, the classic rule (default: the config's, or adaptive)")
    sub.add_argument("--direction", help="adaptive: both, or up for upward spikes alone")
    sub.add_argument(
        "--threshold",
        type=float,
        help="adaptive: decades of rarity, 1.45: lower finds more; rolling: standard deviations, 2",
    )
    sub.add_argument("--window", type=int, help="rolling: samples")
    sub.add_argument("--exclude-current", action="store_true", help="rolling: leave a sample out of its own window")
    sub.add_argument("--episodes", action="store_true", help="list every episode")
    sub.add_argument("--json", action="store_true", help="as JSON")

    sub = command("show", _commands.run_show, "what the store holds, or one quota in full", where, planning)
    sub.add_argument("quota", nargs="?", metavar="PATTERN", help="such as ec2/L-1216C47A or us-east-1/ec2/*")

    sub = command("explain", _commands.run_explain, "walk one number from samples to headroom", where, planning)
    sub.add_argument("quota", metavar="PATTERN", help="such as us-east-1/ec2/L-1216C47A")
    return parser


def _add_recovery(command: Callable[..., argparse.ArgumentParser], where: argparse.ArgumentParser) -> None:
    drawing = argparse.ArgumentParser(add_help=False)
    drawing.add_argument("--target", metavar="TIME", help="RTO, such as 5m or 1h 30m (default: the runbook's)")
    drawing.add_argument("--rpo", metavar="TIME", help="RPO, such as 1m (default: the runbook's)")
    drawing.add_argument("--trials", default="1000000", metavar="N", help="how often it is drawn (default: 1,000,000)")
    drawing.add_argument("--seed", type=int, default=0, help="other luck (default: 0)")
    drawing.add_argument("--threads", type=int, default=0, help="default: all of the machine's; the answer is the same")
    room = drawing.add_argument_group("room for the load that lands: of the store, where there is one")
    room.add_argument("--no-capacity", action="store_true", help="assume that there is room")
    room.add_argument("--event", metavar="NAME", help="what fails (default: what fits least often)")
    room.add_argument("--raised", choices=("needed", "allocation"), help="as if quotas were raised: to what is needed")
    room.add_argument("--lead-time", metavar="TIME", help="of a quota increase (default: 24h in half of all cases)")
    room.add_argument("--denial", type=float, metavar="FRACTION", help="probability that it is refused (default: .05)")
    room.add_argument("--scenario", action="append", metavar="WORD", help="N-1, N-2, shipped, or one by name")
    room.add_argument("--coordination", metavar="NAME", help="whose reservations are your own, and free to you")
    room.add_argument("--now", metavar="INSTANT", help="plan for that moment (default: the last sample)")
    drawing.add_argument("--json", action="store_true", help="as JSON")
    drawing.set_defaults(step=None, policy=None, risk=None)

    sub = command(
        "recover", _commands_recovery.run_recover, "will service be back in time when a runbook is followed?", where,
        drawing,
    )  # fmt: skip
    sub.add_argument("runbook", metavar="RUNBOOK", help="a TOML file, an ARC Region switch plan, or a shipped name")
    sub.add_argument(
        "--probability", type=float, metavar="FRACTION", help="exit 2 unless RTO and RPO are met that often"
    )
    sub.add_argument(
        "--clock", default="onset", choices=("onset", "detection", "declaration"), help="from when RTO counts"
    )
    sub.add_argument(
        "--width", type=float, default=0.01, metavar="FRACTION", help="of the interval, with --trials auto"
    )
    sub.add_argument("--steps", action="store_true", help="what each step takes, and how often it decides")
    sub.add_argument("--what-if", action="store_true", help="what if a step took the least it can?")
    sub.add_argument("--against", metavar="SET", help="judge it: tiers, severities, components or strategies")
    sub.add_argument("--workflow", metavar="NAME", help="of a Region switch plan with several")
    sub.add_argument("--region", metavar="REGION", help="of a Region switch plan: the one to activate")

    sub = command("runbooks", _commands_recovery.run_runbooks, "list the shipped runbooks, or show one")
    sub.add_argument("runbook", nargs="?", metavar="RUNBOOK", help="a file or a shipped name")
    sub.add_argument("--toml", action="store_true", help="as a file to start from")
    sub.add_argument("--json", action="store_true", help="as JSON")

    sub = command(
        "compare", _commands_recovery.run_compare, "runbooks side by side: cost, P(RTO in time), P(RPO in time)", where,
        drawing,
    )  # fmt: skip
    sub.add_argument("runbooks", nargs="*", metavar="RUNBOOK", help="files or shipped names (default: four strategies)")


def _add_store(commands: Any, where: argparse.ArgumentParser) -> None:
    help = "check the store, back it up, make it smaller, or print its tables"
    store = commands.add_parser("store", help=help, description=help)
    tasks = store.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def task(name: str, run: Callable[[argparse.Namespace], int], help: str) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = tasks.add_parser(name, help=help, description=help, parents=[where])
        sub.add_argument("--json", action="store_true", help="as JSON")
        sub.set_defaults(run=run)
        return sub

    help = "read everything and name what is damaged: exit 0 sound, 2 damaged, 3 cannot be opened; nothing is written"
    task("check", _commands_store.run_store_check, help)

    sub = task("backup", _commands_store.run_store_backup, "copy the store, while others write to it, and check it")
    sub.add_argument("file", type=Path, metavar="FILE", help="the copy")
    sub.add_argument("--force", action="store_true", help="replace a file that is there")

    help = "print the tables of a store in DynamoDB, as a CloudFormation template"
    task("template", _commands_store.run_store_template, help)

    help = "remove usage that is older than what is kept, with --yes, and give the room back to the disk"
    sub = task("compact", _commands_store.run_store_compact, help)
    sub.add_argument(
        "--keep",
        metavar="TIME",
        help="usage to keep, back from the last sample: 90d, or all (default: the config's, 90d)",
    )
    sub.add_argument("--yes", action="store_true", help="remove it (default: say what would be removed)")


def _add_backtest(command: Callable[..., argparse.ArgumentParser], where: argparse.ArgumentParser) -> None:
    replaying = argparse.ArgumentParser(add_help=False)
    replaying.add_argument(
        "--policy", action="append", metavar="SPEC",
        help="percentile, peak, threshold, forecast, learned, quantile, classic or clairvoyant, with options as in "
        "'peak:factor=1.1|1.2,window=7d' (that is two), or rule, the TOML file's; may be repeated (default: some 600)",
    )  # fmt: skip
    replaying.add_argument("--lead-time", metavar="TIME", help="from a request until it applies (default: 3d)")
    replaying.add_argument("--review", metavar="TIME", help="from one decision to the next (default: 1d)")
    replaying.add_argument(
        "--warmup", metavar="TIME", help="what is not judged yet (default: the longest window of the policies)"
    )
    replaying.add_argument(
        "--moments", type=int, metavar="N", help="failovers begin at so many moments (default: at any)"
    )
    replaying.add_argument("--seed", type=int, default=0, metavar="N", help="other luck (default: 0)")
    replaying.add_argument(
        "--threads", type=int, default=0, metavar="N", help="default: all of the machine's; the answer is the same"
    )
    replaying.add_argument(
        "--scenario", action="append", metavar="WORD", help="N-1, N-2, shipped, or one by name (default: the config's)"
    )
    replaying.add_argument(
        "--quota", metavar="PATTERN", help="such as ec2/L-1216C47A, always in all its Regions (default: all)"
    )
    replaying.add_argument(
        "--from-applied", action="store_true", help="begin with the quotas that apply (default: each policy's own)"
    )
    replaying.add_argument(
        "--step", type=float, metavar="SECONDS", help="step of the history (default: median spacing)"
    )
    replaying.add_argument("--now", metavar="INSTANT", help="as if nothing had come since (default: the last sample)")
    formats = replaying.add_mutually_exclusive_group()
    formats.add_argument("--json", action="store_true", help="as JSON")
    formats.add_argument("--csv", action="store_true", help="every row as CSV")

    sub = command(
        "backtest", _commands_backtest.run_backtest,
        "replay policies over the past: how often would a failover not have fitted, at what cost?", where, replaying,
    )  # fmt: skip
    sub.add_argument("--frontier", action="store_true", help="only those that no other beats in both risk and cost")
    sub.add_argument("--risk", type=float, metavar="FRACTION", help="name the cheapest that keeps it; exit 2 if none")
    sub.add_argument("--confidence", metavar="FRACTION", help="… and how sure (default: the figure counts as it is)")

    sub = command(
        "tune", _commands_backtest.run_tune,
        "choose a policy on one part of the past, judge it on another; exit 2 where it does not hold", where, replaying,
    )  # fmt: skip
    sub.add_argument(
        "--risk", type=float, required=True, metavar="FRACTION", help="share of failovers that may fail, such as .01"
    )
    sub.add_argument("--confidence", metavar="FRACTION", help="how sure of that, or none (default: .9)")
    sub.add_argument("--split", type=float, default=0.5, metavar="FRACTION", help="of time to tune on (default: .5)")
    sub.add_argument("--series", type=float, default=0.5, metavar="FRACTION", help="of quotas to tune on (default: .5)")
    sub.add_argument(
        "--method", default="grid", choices=("grid", "random", "halving"),
        help="all policies; --trials of them; or all on little and the best on more (default: grid)",
    )  # fmt: skip
    sub.add_argument("--trials", type=int, metavar="N", help="with --method random: how many are drawn")
    sub.add_argument(
        "--state", type=Path, metavar="FILE", help="keep what was found there: the same call goes on where it was"
    )
    sub.add_argument("--estimate", action="store_true", help="say how long the search would take, and end")
    sub.add_argument("--write", action="store_true", help="where it holds, write the policy into the TOML file")


if __name__ == "__main__":
    sys.exit(main())
