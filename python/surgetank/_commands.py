"""What each command does: read its arguments, make the calls a notebook would make, print the answer."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._table import for_terminal
from .errors import InvalidInput, StoreError, nearest

if TYPE_CHECKING:
    from .config import Config
    from .headroom import Policy
    from .history import History
    from .history.anystore import AnyStore
    from .history.places import Place
    from .plan import Plan

CONFIG = "surgetank.toml"
FAILED = 3  #: usage error, bad input or crash; for `check` also: something that must be known is not
POLICY_NAMES = ("quantile", "classic", "rule")  # config's, which a call for help need not import
PROGRESS_AFTER_S = 0.5
DEMO_RUNBOOK = "region-evacuation"


def run_demo(args: argparse.Namespace) -> int:
    from .demo import sample_world
    from .history.sqlite import Store
    from .plan import plan

    folder: Path = args.dir
    if args.seed < 0:
        raise InvalidInput(f"--seed: must be 0 or more (got {args.seed})")
    world = sample_world(args.seed)
    samples = world.samples()
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    path = folder / "surgetank.db"
    if path.exists():
        with Store(path) as store:
            own = {report["source"] for report in store.imports()} == {samples.report.source}
        if not own:
            raise StoreError(f"store {path}: is not the demo's; name another folder with --dir")
        for old in (path, path.with_name("surgetank.db-wal"), path.with_name("surgetank.db-shm")):
            old.unlink(missing_ok=True)
    with Store(path, create=True) as store:
        with store.transaction():
            store.import_quotas(world.quotas)
            store.add_samples(samples)
            store.save_scenarios(world.scenarios)
        made = plan(store.history())
        store.save_plan(made.to_dict())
    print(_text(made))
    print(f"\n{for_terminal(_recovery_of(made))}")
    worst = made.rows("CRITICAL", "WARNING")[0]
    name = f"{worst['region']}/{worst['quota_name']}"
    print(f"\nThe store is {path}. Next:")
    asked = ("allocate --survive 2", f"recover {DEMO_RUNBOOK}", "plan --beside classic", "spikes", "check")
    for line in (f"explain '{name}'", *asked):
        print(f"  {_program()} {line} --store {path}")
    name = _program()
    print(f"Your own: {name} init, then {name} import USAGE.csv QUOTAS.csv --tz UTC, then {name} plan")
    return 0


def _recovery_of(made: Plan) -> str:
    """Whether a Region would be evacuated in time, with the room that the plan found."""
    from .recovery import estimate_recovery, shipped_runbook
    from .recovery.wording import caption, room

    found = estimate_recovery(shipped_runbook(DEMO_RUNBOOK), capacity=made)
    return "\n".join([f"{caption(found)}.", *room(found)])


def _program() -> str:
    """How this command was called, where a bare `surgetank` would not be found."""
    import shutil

    called = Path(sys.argv[0])
    return "surgetank" if called.name != "surgetank" or shutil.which("surgetank") else str(called)


def run_init(args: argparse.Namespace) -> int:
    from .config import TEMPLATE

    path: Path = args.config
    if path.exists() and not args.force:
        raise InvalidInput(f"{path}: is there already; --force replaces it")
    with _writing(path):
        path.write_text(TEMPLATE, encoding="utf-8")
    print(f"Wrote {path}. Next: surgetank import USAGE.csv QUOTAS.csv --tz UTC")
    return 0


def run_plan(args: argparse.Namespace) -> int:
    """Plan, show it, keep it."""
    config = _config(args)
    with _open(args, config) as store:
        history, made = _planned(args, config, store)
        if args.beside:
            both = made.beside(_plan(args, config, history, _policy(args, config, args.beside)))
            print(json.dumps(both.to_records(), indent=2) if args.json else _text(both), flush=True)
        else:
            print(made.to_json() if args.json else _text(made), flush=True)
        if args.html:
            from .report import page

            with _writing(args.html):
                args.html.write_text(page(both if args.beside else made), encoding="utf-8")
            print(f"Wrote {args.html}", file=sys.stderr)
        try:
            store.save_plan(made.to_dict())
        except StoreError as error:  # the answer does not depend on its being kept
            print(f"surgetank: the plan was not kept: {error}", file=sys.stderr)
    return 0


def run_check(args: argparse.Namespace) -> int:
    from .verdict import check

    config = _config(args)
    with _open(args, config) as store:
        _, made = _planned(args, config, store)
    patterns = args.require or config.require
    coverage = config.min_coverage if args.min_coverage is None else args.min_coverage
    verdict = check(made, require=patterns, min_coverage=coverage)
    print(json.dumps(verdict.to_dict(), indent=2) if args.json else for_terminal(verdict.text))
    return verdict.exit_code


def run_spikes(args: argparse.Namespace) -> int:
    from .history import History
    from .report import unjudged
    from .spikes import detect_spikes, detector_of

    config = _config(args)
    own = {name: getattr(args, name) for name in ("direction", "threshold", "window")}
    own["exclude_current"] = args.exclude_current or None
    given = {name: value for name, value in own.items() if value is not None}
    detector = detector_of(given, args.detector, config.detector)
    if args.file is None:
        reading = {**_fixed(args), "tz": args.tz, "series": args.series, "column": args.column or None}
        for name, value in reading.items():
            if value is not None:
                raise InvalidInput(f"--{name.replace('_', '-')}: is for a FILE, and none is given (got {value!r})")
        with _open(args, config) as store, _progress("reading the store") as progress:
            history = store.history(step_s=config.step_s, progress=progress)
    else:
        with _progress(f"reading {args.file.name}", of_bytes=True) as progress:
            how = {"tz": args.tz, "series": args.series, "negative": "keep", "columns": _columns(args.column)}
            how["step_s"] = config.step_s
            history = History.read(args.file, progress=progress, **how, **_fixed(args))
    with _busy("looking for spikes"):
        found = detect_spikes(history, detector=detector, outputs=("episodes",))
    if args.json:
        records = {"detector": repr(detector), "series": found.to_records()}
        print(json.dumps({**records, "episodes": found.episode_table().to_records()}, indent=2))
    else:
        print(_text(found.episode_table() if args.episodes else found))
        if short := unjudged(history, detector):
            print(f"\n{for_terminal(short)}")
    return 0


def run_show(args: argparse.Namespace) -> int:
    from .plan import matching
    from .report import detail, overview, overview_text

    config = _config(args)
    with _open(args, config) as store:
        if args.quota is None:
            found = overview(store)
            print(json.dumps(found, indent=2) if args.json else for_terminal(overview_text(found)))
            return 0
        history, made = _planned(args, config, store)
    rows = matching(made.keys, args.quota, "quota")
    if args.json:
        records = made.to_records()
        print(json.dumps([records[i] for i in rows], indent=2))
    else:
        print("\n\n".join(for_terminal(detail(made, history, i, config.detector)) for i in rows))
    return 0


def run_explain(args: argparse.Namespace) -> int:
    """Walk one number, or each that a pattern names, from samples to headroom."""
    from .plan import matching
    from .report import explained

    config = _config(args)
    with _open(args, config) as store:
        history, made = _planned(args, config, store)
    rows = matching(made.keys, args.quota, "quota")
    steps = [explained(made, history, i) for i in rows]
    if args.json:
        records = made.to_records()
        needs = made.headroom.by_event().to_records()
        found = [
            {**records[i], "steps": steps[n], "events": [e for e in needs if e["series"] == made.headroom.series[i]]}
            for n, i in enumerate(rows)
        ]
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        print("\n\n".join(for_terminal("\n\n".join(paragraphs)) for paragraphs in steps))
    return 0


def _policy(args: argparse.Namespace, config: Config, name: str | None = None) -> Policy:
    """The policy of that name, or the command line's, or the config's; with the command line's risk."""
    from .headroom import QuantilePolicy

    found = config.policies[name or args.policy or config.policy_name]
    if args.risk is None:
        return found
    if isinstance(found, QuantilePolicy):
        return replace(found, risk=args.risk)
    if name is None and getattr(args, "beside", None) != QuantilePolicy.name:
        raise InvalidInput(f"--risk: is for the quantile policy (got {args.risk:g} with {found.name})")
    return found


def _planned(args: argparse.Namespace, config: Config, store: AnyStore) -> tuple[History, Plan]:
    step_s = config.step_s if args.step is None else args.step
    with _progress("reading the store") as progress:
        known_coordination(store, args)
        history = store.history(step_s=step_s, until=args.now, progress=progress, coordination=args.coordination)
        history = history.complete()
    config.check(history.keys)
    return history, _plan(args, config, history, _policy(args, config))


def _plan(args: argparse.Namespace, config: Config, history: History, policy: Policy) -> Plan:
    from .plan import plan

    with _busy("planning"):
        return plan(
            history,
            scenarios=_chosen(args.scenario, config) or config.scenarios,
            policy=policy,
            thresholds=config.thresholds or None,
            costs=config.costs,
            stale_after_s=config.stale_after_s,
            now=args.now,
            survive=config.survive,
        )


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _chosen(names: Sequence[str] | None, config: Config) -> list[Any]:
    """Scenarios named on the command line: words, or the config's by their own name or by their event's."""
    from .scenario import SHIPPED_SCENARIOS, fail_together

    own = [s for s in config.scenarios or () if not isinstance(s, str)]
    words = ("N-1", "N-2", "shipped", *(s.name for s in SHIPPED_SCENARIOS))
    chosen: list[Any] = []
    for name in names or ():
        alone = [replace(s, event=s.name) for s in own if s.name == name]  # by itself it is an event of its own
        together = [s for s in own if s.event == name]
        if name not in words and fail_together(name) is None and not alone and not together:
            known = [*words, *dict.fromkeys(n for s in own for n in (s.name, s.event))]
            raise InvalidInput(f"--scenario: must be one of {', '.join(known)}{nearest(name, known)} (got {name!r})")
        chosen += together if len(together) > 1 else alone or together or [name]
    return chosen


def _config(args: argparse.Namespace) -> Config:
    from .config import Config

    if args.config is not None:
        return Config.read(args.config)
    return Config.read(Path(CONFIG)) if Path(CONFIG).is_file() else Config()


def _place(args: argparse.Namespace, config: Config) -> Place:
    """Where the store is, by the command line or the config."""
    from .history.places import place_of

    try:
        return config.store if args.store is None else place_of(args.store)
    except InvalidInput as error:
        raise InvalidInput(error.about("--store")) from None


def _open(
    args: argparse.Namespace, config: Config, *, timeout_s: float | None = None, create: bool = False
) -> AnyStore:
    from .history.places import open_store

    return open_store(_place(args, config), timeout_s=timeout_s, create=create)


def made_now(store: AnyStore) -> str:
    """What is to be said of a store that was not there before: tables stay until somebody deletes them."""
    return ", whose tables were made now and are protected from deletion" if store.was_made else ""


def known_coordination(store: AnyStore, args: argparse.Namespace) -> None:
    """Refuse a coordination on the command line that the store never heard of."""
    if args.coordination is not None and not store.audit(coordination=args.coordination):
        names = {line.coordination for line in store.audit()}
        rule = f"must be one of the store's{nearest(args.coordination, names)}"
        raise InvalidInput(f"--coordination: {rule} (got {args.coordination!r})")


def _columns(given: Sequence[str]) -> dict[str, str]:
    from .history.layout import NAMES
    from .history.readers import QUOTA_NAMES

    result = {}
    for item in given:
        name, equals, header = item.partition("=")
        if not equals or not name or not header:
            raise InvalidInput(f"--column: must be FIELD=HEADER (got {item!r})")
        result[name] = header
    for name in result:
        if name not in NAMES and name not in QUOTA_NAMES:
            raise InvalidInput(f"--column: must name a field{nearest(name, (*NAMES, *QUOTA_NAMES))} (got {name!r})")
    return result


def _fixed(args: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(args, name) for name in ("account", "region", "service_code", "quota_code")}


def _text(result: Any) -> str:
    return str(result.table(color=sys.stdout.isatty()))


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def _busy(what: str) -> Iterator[None]:
    """A spinner on a terminal, for what has no measure of progress."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


@contextlib.contextmanager
def _progress(what: str, *, of_bytes: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A bar with rate and time left on standard error, once something takes longer than a moment."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich import progress as rich
    from rich.console import Console

    rate = (rich.DownloadColumn(), rich.TransferSpeedColumn()) if of_bytes else (rich.MofNCompleteColumn(),)
    columns = (rich.TextColumn("{task.description}"), rich.BarColumn(), *rate, rich.TimeRemainingColumn())
    bar = rich.Progress(*columns, console=Console(stderr=True), transient=True)
    started = time.monotonic()
    task = bar.add_task(what, total=None)

    def update(done: int, total: int) -> None:
        if not bar.live.is_started and time.monotonic() - started > PROGRESS_AFTER_S:
            bar.start()
        bar.update(task, completed=done, total=total or None)

    try:
        yield update
    finally:
        bar.stop()
