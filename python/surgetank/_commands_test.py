"""The command `test`: the gate for pipelines, its options and what it calls."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ._commands import CONFIG, _busy, _config, _open, _progress, _text, known_coordination
from ._table import for_terminal
from .errors import InvalidInput

if TYPE_CHECKING:
    from .adequacy import AdequacyTest
    from .config import Config

#: Where a test of its own is looked for and written, unless --config says so.
TEST_FILE = "surgetank-test.json"


def add_test(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command and its options."""
    help = "does the load of a Region that fails find room? exit 2 failed, 3 UNKNOWN, 1 warning, 0 passed"
    sub = command("test", run_test, help)
    sub.add_argument(
        "--config", type=Path, metavar="FILE",
        help=f"what to test: JSON, or a TOML file's [test] (default: {CONFIG} where it has one, or {TEST_FILE})",
    )  # fmt: skip
    sub.add_argument("--store", metavar="FILE|dynamodb://…", help="the store (default: the config's, or surgetank.db)")
    help = "account ids in full (default: their last four digits, as …3333)"
    sub.add_argument("--show-accounts", action="store_true", help=help)
    sub.add_argument("--coordination", metavar="NAME", help="whose reservations are your own, and free to you")
    sub.add_argument("--now", metavar="INSTANT", help="test as of that moment (default: the last sample)")
    sub.add_argument("--step", type=float, metavar="SECONDS", help="step of the history (default: median spacing)")
    sub.add_argument("--ramp", action="store_true", help="also every step in which the load arrives, and who takes it")
    sub.add_argument("--json", action="store_true", help="as JSON")
    sub.add_argument("--junit", type=Path, metavar="FILE", help="also write JUnit XML")
    sub.add_argument("--out", type=Path, metavar="DIR", help="also write a JSON file for each scenario")
    sub.add_argument("--init", action="store_true", help="write a test to start from, into the file of --config")
    sub.add_argument("--force", action="store_true", help="with --init: replace a file that is there, or its [test]")


def run_test(args: argparse.Namespace) -> int:
    """Read the test and the store, judge, say so, write what is asked for; the exit code is the verdict."""
    if args.init:
        return _init(args)
    if args.force:
        raise InvalidInput("--force: is for --init (got True)")
    from .adequacy import adequacy

    test, config = _test(args)
    step_s = config.step_s if args.step is None else args.step
    with _open(args, config) as store, _progress("reading the store") as progress:
        known_coordination(store, args)
        history = store.history(step_s=step_s, until=args.now, progress=progress, coordination=args.coordination)
    with _busy("testing"):
        found = adequacy(history, test, now=args.now)
    if args.json:
        print(found.to_json(), flush=True)
    else:
        print(_text(found))
        if args.ramp:
            print(f"\n{_text(found.ramps)}")
        print(for_terminal(f"\nexit {found.exit_code}: {found.because}"), flush=True)
    if args.out is not None:
        from .adequacy.writing import write_results

        write_results(found, args.out)
    if args.junit is not None:
        from ._files import replace_text

        replace_text(args.junit, found.to_junit())
    return found.exit_code


def _init(args: argparse.Namespace) -> int:
    from .adequacy.writing import write_template

    path: Path = args.config or Path(TEST_FILE)
    write_template(path, force=args.force)
    print(for_terminal(f"Wrote {path}. Name your Regions and services there, then: surgetank test --config {path}"))
    return 0


def _test(args: argparse.Namespace) -> tuple[AdequacyTest, Config]:
    """What to test, and what else a TOML file says: the one that is given, or the one that is there."""
    from .adequacy.reading import read_file
    from .config import Config

    if args.config is not None:
        test, source = read_file(args.config)
        if source is not None:
            return test, Config.of(source, args.config.parent)
        args.config = None
        return test, _config(args)
    config = _config(args)
    if config.test is not None:
        return config.test, config
    if Path(TEST_FILE).is_file():
        return read_file(Path(TEST_FILE))[0], config
    rule = f"must name a test, where neither {CONFIG} has a [test] nor {TEST_FILE} is there"
    raise InvalidInput(f"--config: {rule}; `surgetank test --init` writes one (got nothing)")
