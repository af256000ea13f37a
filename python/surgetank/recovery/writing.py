"""A runbook as a TOML file, so that one's own can start from a shipped one."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import invalid
from . import distributions as d
from .runbook import Branch, Runbook, Step, as_runbook
from .units import duration_text


def runbook_toml(runbook: Runbook) -> str:
    """Write a runbook as TOML that `read_runbook` reads back as an equal one.

    Parameters
    ----------
    runbook : Runbook
        Models are written as the distributions that they gave.

    Returns
    -------
    str
        What differs from the defaults, one statement a line.

    Examples
    --------
    >>> print(runbook_toml(Runbook([Step("fail over", 90)], name="small", target_s=300)), end="")
    name = "small"
    target = "5m"
    <BLANKLINE>
    [[step]]
    name = "fail over"
    duration = "1m 30s"
    """
    as_runbook(runbook)
    lines = [f"name = {_text(runbook.name)}"]
    texts = ("title", "detection", "declaration", "strategy")
    lines += [f"{key} = {_text(getattr(runbook, key))}" for key in texts if getattr(runbook, key)]
    targets = (("target", runbook.target_s), ("rpo_target", runbook.rpo_target_s))
    lines += [f"{key} = {_seconds(value)}" for key, value in targets if value is not None]
    if runbook.done:
        lines.append(f"done = {_texts(runbook.done)}")
    if runbook.served_target != 1:
        lines.append(f"served_target = {runbook.served_target!r}")
    if runbook.cost_usd_per_month is not None:
        lines.append(f"cost_usd_per_month = {runbook.cost_usd_per_month!r}")
    for step in runbook.steps:
        lines += ["", *(_branch(step) if isinstance(step, Branch) else _step(step))]
    for store in runbook.stores:
        lines += ["", "[[store]]", f"name = {_text(store.name)}", f"lag = {_duration(store.lag)}"]
        if store.copy != d.Fixed(0):
            lines.append(f"copy = {_duration(store.copy)}")
    return "\n".join(lines) + "\n"


def _step(step: Step) -> list[str]:
    lines = ["[[step]]", f"name = {_text(step.name)}", f"duration = {_duration(step.duration)}", *_waits(step)]
    if step.failure:
        lines.append(f"failure = {step.failure!r}")
    if step.retries:
        lines.append(f"retries = {int(step.retries)}")
    if step.retry_after != d.Fixed(0):
        lines.append(f"retry_after = {_duration(step.retry_after)}")
    if step.fallback is not None:
        lines.append(f"fallback = {_text(step.fallback)}")
    if step.loadings:
        lines.append(f"loadings = {_numbers(step.loadings)}")
    if step.capacity:
        lines.append(f"capacity = {_texts(step.capacity)}")
    return lines


def _branch(branch: Branch) -> list[str]:
    return ["[[branch]]", f"name = {_text(branch.name)}", f"options = {_numbers(branch.options)}", *_waits(branch)]


def _waits(step: Step | Branch) -> list[str]:
    lines = [f"after = {_texts(step.after)}"] if step.after else []
    return [*lines, f"join = {_text(step.join)}"] if step.join != "all" else lines


def _duration(given: Any) -> str:
    """One line for one duration."""
    if isinstance(given, d.Fixed):
        return _seconds(given.value_s)
    return "{ " + _distribution(given) + " }"


def _distribution(given: d.Distribution) -> str:
    if isinstance(given, d.Uniform):
        return f"uniform = [{_seconds(given.low_s)}, {_seconds(given.high_s)}]"
    if isinstance(given, d.Triangular | d.Pert):
        kind = "triangular" if isinstance(given, d.Triangular) else "pert"
        bounds = [_seconds(value) for value in (given.low_s, given.likely_s, given.high_s)]
        if not isinstance(given, d.Pert) or given.weight == 4:
            return f"{kind} = [{', '.join(bounds)}]"
        named = ", ".join(f"{key} = {value}" for key, value in zip(("low", "likely", "high"), bounds, strict=True))
        return f"{kind} = {{ {named}, weight = {given.weight!r} }}"
    if isinstance(given, d.Lognormal):
        return f"lognormal = {{ median = {_seconds(given.median_s)}, p95 = {_seconds(given.p95_s)} }}"
    if isinstance(given, d.Gamma | d.Weibull):
        kind = "gamma" if isinstance(given, d.Gamma) else "weibull"
        return f"{kind} = {{ shape = {given.shape!r}, scale = {_seconds(given.scale_s)} }}"
    if isinstance(given, d.Exponential):
        return f"exponential = {_seconds(given.mean_s)}"
    if isinstance(given, d.Empirical):
        return f"empirical = [{', '.join(_seconds(value) for value in given.values_s)}]"
    if isinstance(given, d.Mixture):
        parts = (f"{{ weight = {weight!r}, duration = {_duration(part)} }}" for weight, part in given.parts)
        return f"mixture = [{', '.join(parts)}]"
    if isinstance(given, d.Truncated):
        high = "" if given.high_s == math.inf else f", high = {_seconds(given.high_s)}"
        return f"truncated = {{ of = {_duration(given.of)}, low = {_seconds(given.low_s)}{high} }}"
    raise invalid("duration", "must be a distribution that a file can hold", type(given).__name__)


def _seconds(value: Any) -> str:
    return f'"{duration_text(float(value))}"'


def _numbers(given: Mapping[str, float]) -> str:
    return "{ " + ", ".join(f"{_key(name)} = {float(value)!r}" for name, value in given.items()) + " }"


def _texts(given: Sequence[str]) -> str:
    return f"[{', '.join(_text(text) for text in given)}]"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _text(text: str) -> str:
    """A basic string; what cannot be printed is escaped."""
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise invalid("runbook", "must have names that UTF-8 can hold", text)
    escaped = (
        f"\\{c}"
        if c in '"\\'
        else c
        if c.isprintable()
        else f"\\U{ord(c):08x}"
        if ord(c) > 0xFFFF
        else f"\\u{ord(c):04x}"
        for c in text
    )
    return '"' + "".join(escaped) + '"'
