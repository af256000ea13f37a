"""The commands `backtest` and `tune`: which policy would have kept us safe, at what cost, and does that hold?"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._commands import CONFIG, _busy, _progress, _text
from ._commands_recovery import NOT_MET, UNKNOWN, _seconds
from ._policy_specs import policies_of
from ._replayable import Replayable, replayable
from ._table import for_json, for_terminal, span
from .errors import InvalidInput

if TYPE_CHECKING:
    from ._table import Tabular
    from .backtest import Backtest, Choice, Tuned
    from .backtest.policytable import PolicyTable

#: Rows that a terminal is shown of many: those with the least risk. JSON and CSV have all of them.
MOST_SHOWN = 20
#: What the façade calls its arguments, and what they are called here.
OPTIONS = {
    "confidence": "--confidence", "lead_time_s": "--lead-time", "moments": "--moments", "review_s": "--review",
    "risk": "--risk", "scenarios": "--scenario", "seed": "--seed", "series": "--series", "split": "--split",
    "state": "--state", "step_s": "--step", "threads": "--threads", "trials": "--trials", "warmup_s": "--warmup",
}  # fmt: skip


@contextlib.contextmanager
def _named() -> Iterator[None]:
    """Errors by the names of options, not of arguments."""
    try:
        yield
    except InvalidInput as error:
        said = error.about(OPTIONS.get(error.argument, error.argument))
        raise InvalidInput(said.replace("warmup_s", "--warmup")) from None


@_named()
def run_backtest(args: argparse.Namespace) -> int:
    """Replay, and show policies side by side; exit 2 where --risk is asked for and none meets it."""
    from .backtest import backtest, default_policies

    if args.confidence is not None and args.risk is None:
        raise InvalidInput(f"--confidence: is for --risk (got {args.confidence!r})")
    confidence = _confidence(args.confidence, None)
    config, known = replayable(args)
    policies = policies_of(args.policy, config) or default_policies(known.length_s)
    with _busy("replaying"):
        run = backtest(known.history, policies=policies, **known.options)
        choice = None if args.risk is None else run.best(risk=args.risk, confidence=confidence)
        table = run.frontier() if args.frontier else run.table()
    said = [*([str(choice)] if choice else []), *known.left_out]
    if args.json:
        _print_json(_backtest_dict(run, table, choice, known))
    elif args.csv:
        _print_csv(table, said)
    else:
        shown = _least_risky(run, table, choice)
        left_out = len(table.rows) - len(shown.rows)
        print(_text(shown) + (f"\n({left_out:,} more with --csv or --json)" if left_out else ""))
        _say(said)
    return NOT_MET if choice is not None and choice.policy is None else 0


@_named()
def run_tune(args: argparse.Namespace) -> int:
    """Choose and judge; exit 2 where no policy meets the risk, or what was held back does not."""
    from .backtest import estimate_tuning_s, tune

    if args.trials is not None and args.method != "random":
        raise InvalidInput(f"--trials: is for --method random (got {args.trials} with {args.method})")
    confidence = _confidence(args.confidence, 0.9)
    config, known = replayable(args)
    given: dict[str, Any] = {
        "risk": args.risk, "confidence": confidence, "policies": policies_of(args.policy, config) or None,
        "split": args.split, "series": args.series, "method": args.method, "trials": args.trials, **known.options,
    }  # fmt: skip
    if args.estimate:
        with _busy("estimating"):
            seconds = estimate_tuning_s(known.history, **given)
        print(json.dumps({"estimate_s": seconds}) if args.json else f"The search would take about {span(seconds)}.")
        return 0
    try:
        with _progress("tuning") as progress:
            found = tune(known.history, state=args.state, progress=progress, **given)
    except KeyboardInterrupt:
        if args.state is None or not Path(args.state).exists():  # nothing was searched yet
            raise
        print(f"surgetank: interrupted; the same call goes on from {args.state}", file=sys.stderr)
        return 130
    if args.json:
        _print_json(_tuned_dict(found, known))
    elif args.csv:
        _print_csv(found, [text for text in (found.choice.reason, found.warning, *known.left_out) if text])
    else:
        print(_text(found))
        _say(known.left_out)
    code = _verdict(found)
    if args.write:
        _write(args, found, code)
    return code


def _verdict(found: Tuned) -> int:
    if found.choice.policy is None:
        return NOT_MET
    held_back = found.held_back.risk
    if math.isnan(held_back):
        print("surgetank: in what was held back no failover is known for long enough to judge", file=sys.stderr)
        return UNKNOWN
    return NOT_MET if held_back > found.risk else 0


def _write(args: argparse.Namespace, found: Tuned, code: int) -> None:
    from .backtest import RulePolicy, planned_by, write_policy

    path = args.config or Path(CONFIG)
    if code:
        print(f"surgetank: {path} was left as it is", file=sys.stderr)
        return
    default = RulePolicy()
    lead = default.lead_time_s if args.lead_time is None else _seconds(args.lead_time, "--lead-time")
    review = default.review_s if args.review is None else _seconds(args.review, "--review")
    write_policy(path, planned_by(found.choice.policy, lead_time_s=lead, review_s=review))  # type: ignore[arg-type]
    print(f"Wrote {path}: plans are made by {found.choice.policy}", file=sys.stderr)


def _least_risky(run: Backtest, table: PolicyTable, choice: Choice | None) -> PolicyTable:
    """Of many rows those at the safe end of the frontier, the knee and the choice."""
    if len(table.rows) <= MOST_SHOWN:
        return table
    kept = {*run.frontier().rows[-MOST_SHOWN:], run.knee, *([choice.index] if choice else [])}
    return dataclasses.replace(table, rows=tuple(i for i in table.rows if i in kept), frontier=False)


def _backtest_dict(run: Backtest, table: PolicyTable, choice: Choice | None, known: Replayable) -> dict[str, Any]:
    rows = zip(table.to_records(), table.rows, strict=True)
    return {
        "judged": run.caption(), "series": list(run.series), "left_out": known.left_out,
        "events": [event.name for event in run.setting.events], "knee": run.knee, "confidence": run.confidence,
        "policies": [{**row, "options": run.policies[i].to_dict()} for row, i in rows],
        "choice": None if choice is None else _choice_dict(choice),
    }  # fmt: skip


def _tuned_dict(found: Tuned, known: Replayable) -> dict[str, Any]:
    rows = zip(found.to_records(), found.run.policies, strict=True)
    held_back = {f.name: for_json(getattr(found.held_back, f.name)) for f in dataclasses.fields(found.held_back)}
    return {
        "risk": found.risk, "policies": len(found.policies), "series": list(found.run.series),
        "tuned_s": found.run.setting.judged_s, "held_back_s": found.judged.setting.judged_s,
        "left_out": known.left_out, "choice": {k: v for k, v in _choice_dict(found.choice).items() if k != "index"},
        "held_back": {**held_back, "policy": str(found.held_back.policy)}, "warning": found.warning,
        "frontier": [{**row, "options": policy.to_dict()} for row, policy in rows],
    }  # fmt: skip


def _choice_dict(choice: Choice) -> dict[str, Any]:
    plain = {f.name: for_json(getattr(choice, f.name)) for f in dataclasses.fields(choice) if f.name != "policy"}
    there = choice.policy is not None
    policy = {"policy": str(choice.policy), "options": choice.policy.to_dict()} if there else {"policy": None}
    return {**policy, **plain}


def _print_json(found: dict[str, Any]) -> None:
    print(json.dumps(found, indent=2, allow_nan=False))


def _print_csv(table: Tabular, said: Sequence[str]) -> None:
    """Plain numbers; what is not known is empty, and a text that a spreadsheet would compute is quoted."""
    import csv

    records = table.to_records()
    writer = csv.DictWriter(sys.stdout, [column.name for column in table._columns()], lineterminator="\n")
    writer.writeheader()
    for record in records:
        writer.writerow({name: _guarded(value) for name, value in record.items()})
    for sentence in said:
        print(f"surgetank: {for_terminal(sentence)}", file=sys.stderr)


def _guarded(value: object) -> object:
    return (
        f"'{value}"
        if isinstance(value, str) and len(value) > 1 and value[:1] in ("=", "+", "-", "@", "\t", "\r")
        else value
    )


def _say(sentences: Sequence[str]) -> None:
    """Sentences below a table, as wide as that."""
    import shutil
    import textwrap

    width = shutil.get_terminal_size((160, 24)).columns
    for sentence in sentences:
        print("\n" + textwrap.fill(for_terminal(sentence), width))


def _confidence(text: str | None, default: float | None) -> float | None:
    if text is None:
        return default
    try:
        return None if text == "none" else float(text)
    except ValueError:
        raise InvalidInput(f"--confidence: must be a fraction in [.5, 1), or none (got {text[:40]!r})") from None
