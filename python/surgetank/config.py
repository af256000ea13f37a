"""The TOML file: scenarios, policy, thresholds, costs. A mistake is named with its line and the nearest valid word."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .errors import InvalidInput, nearest, shown
from .headroom import ClassicPolicy
from .plan import Thresholds
from .scenario import SHIPPED_SCENARIOS, Scenario
from .spikes import RollingSigma

TEMPLATE = """\
# surgetank: what may fail, how much headroom to keep, and when to worry.
# Quotas are named by patterns: "ec2", "ec2/L-1216C47A", "us-east-1/ec2/*".

store = "surgetank.db"        # where usage and quotas are kept; relative to this file

# What may fail. "N-1": each Region fails alone, its load in equal shares over the others.
# "shipped": regional_dr (us-east-1 onto us-west-2) and traffic_spike (us-east-1, three times its load).
scenarios = ["N-1"]

# A scenario of your own: as many of these as you like.
# [[scenario]]
# name = "evacuate us-east-1"
# source = "us-east-1"                              # or ["us-east-1", "us-east-2"]: they fail together
# targets = { us-west-2 = 0.6, eu-west-1 = 0.4 }    # shares of the load, at most 1 in all
# multiplier = 1.0                                  # the load that moves, relative to the source's usage
# target_multiplier = 2.0                           # classic policy only: expected traffic at the target
# duration_s = 86400
# ramp_s = 1800
# probability = 0.1                                 # classic policy only
# impact = "critical"                               # classic policy only: critical, high, medium, low
# kind = "regional_failover"

[history]
# step_s = 300                # default: the median spacing of the samples
# stale_after_s = 3600        # an older last sample makes a quota UNKNOWN; default: the longer of 1 h and 12 steps

[policy]
name = "classic"
# cost_cap = 1000.0           # the most that headroom may cost; default: no cap
# trend = "sample"            # "hour": a week's growth at any step
# history_s = 2592000         # 30 days
# spike_window = 10           # samples
# spike_threshold = 2.0       # standard deviations

[thresholds]
warning_frac = 0.70           # utilization of the free headroom from which status is WARNING ...
critical_frac = 0.85          # ... and CRITICAL; a shortfall is always CRITICAL

# Other thresholds for some quotas; the last pattern that matches counts.
# [thresholds."lambda/*"]
# warning_frac = 0.50
# critical_frac = 0.70

[costs]
# "ec2/L-1216C47A" = 0.05     # price of one unit of quota, in the unit of cost_cap

[check]
# quotas = ["ec2/*"]          # these must be known: UNKNOWN among them exits 3; default: every quota that has a value
min_coverage = 0.0            # share of all quotas that must be known
"""

_SCENARIO_KEYS = tuple(f.name for f in fields(Scenario))
_THRESHOLD_KEYS = ("warning_frac", "critical_frac")
_KEYS: dict[str, tuple[str, ...]] = {
    "": ("store", "scenarios", "scenario", "history", "policy", "thresholds", "costs", "check"),
    "scenario": _SCENARIO_KEYS,
    "history": ("step_s", "stale_after_s"),
    "policy": ("name", "cost_cap", "trend", "history_s", "spike_window", "spike_threshold"),
    "check": ("quotas", "min_coverage"),
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """What the TOML file says, checked; the defaults without a file."""

    store: Path = Path("surgetank.db")
    scenarios: tuple[str | Scenario, ...] | None = None  #: None: the store's own
    step_s: float | None = None
    stale_after_s: float | None = None
    policy: ClassicPolicy = field(default_factory=ClassicPolicy)
    thresholds: Mapping[str, Thresholds] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    check_quotas: tuple[str, ...] | None = None
    min_coverage: float = 0.0
    source: Source | None = None

    @staticmethod
    def read(path: Path) -> Config:
        """Read and check a file; `InvalidInput` names the file, the line and what is wrong."""
        source = Source.read(path)
        top = source.table("", source.body)
        check, history = source.table("check", top.get("check", {})), source.table("history", top.get("history", {}))
        base, thresholds = _thresholds(source, top.get("thresholds", {}))
        for name, price in source.mapping("costs", top.get("costs", {})).items():
            if isinstance(price, bool) or not isinstance(price, int | float) or not 0 <= price < float("inf"):
                raise source.error(f"costs: price of {name} must be a number, 0 or more", price, "costs", name)
        return Config(
            store=path.parent / source.typed("", top, "store", str, "surgetank.db"),
            scenarios=_scenarios(source, top),
            step_s=_duration(source, history, "step_s"),
            stale_after_s=_duration(source, history, "stale_after_s"),
            policy=_policy(source, source.table("policy", top.get("policy", {}))),
            thresholds={"*": base, **thresholds},
            costs=top.get("costs", {}),
            check_quotas=tuple(source.texts("check", check, "quotas")) if "quotas" in check else None,
            min_coverage=_share(source, check),
            source=source,
        )

    def located(self, error: InvalidInput) -> InvalidInput:
        """Add the file and line to an error about a value of this file that only the plan could judge."""
        got = re.search(r"\(got '(.*)'\)$", str(error))
        if self.source is None or got is None:
            return error
        line = self.source.line_of_value(got.group(1))
        return InvalidInput(f"{self.source.name}, line {line}: {error}") if line else error


@dataclass(frozen=True)
class Source:
    """The text of a TOML file and what it says, so that errors can name lines."""

    name: str
    text: str
    body: dict[str, Any]

    @staticmethod
    def read(path: Path) -> Source:
        """Parse the file."""
        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise InvalidInput(f"{path.name}: must be a readable file: {reason} (got {shown(str(path))})") from error
        try:
            return Source(path.name, text, tomllib.loads(text))
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise InvalidInput(f"{path.name}: must be valid TOML: {error}") from error

    def table(self, name: str, value: Any) -> dict[str, Any]:
        """A table whose keys are all known."""
        table = self.mapping(name, value)
        for key in table:
            if key not in _KEYS[name]:
                where = f"in [{name}]" if name else "at the top"
                raise self.error(f"{key}: is no key {where}{nearest(key, _KEYS[name])}", key, name, key)
        return table

    def mapping(self, name: str, value: Any) -> dict[str, Any]:
        """A table with keys of the user's own."""
        if not isinstance(value, dict):
            raise self.error(f"{name}: must be a table, [{name}]", value, "", name)
        return value

    def typed(self, table: str, values: dict[str, Any], key: str, kind: type, default: Any) -> Any:
        """The value of a key, of the type it must have."""
        value = values.get(key, default)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.error(f"{key}: must be a {'text' if kind is str else kind.__name__}", value, table, key)
        return value

    def texts(self, table: str, values: dict[str, Any], key: str) -> list[str]:
        """A list of texts."""
        given = values.get(key, [])
        if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
            raise self.error(f"{key}: must be a list of texts", given, table, key)
        return given

    def error(self, what: str, got: Any, table: str, key: str, nth: int = 0) -> InvalidInput:
        """The error "file, line n: key: rule (got value)"."""
        line = self.line_of(table, key, nth)
        return InvalidInput(f"{self.name}{f', line {line}' if line else ''}: {what} (got {shown(got)})")

    def line_of(self, table: str, key: str, nth: int = 0) -> int:
        """The line on which a key of (the nth such) table stands; 0 where it cannot be told."""
        current, count, fallback = "", -1, 0
        starts = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]")
        for number, line in enumerate(self.text.splitlines(), 1):
            header = re.match(r"\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(#.*)?$", line)
            if header:
                current = re.sub(r"[\"'\s]", "", header.group(1))
                count += current == table
                if current == table and count == nth:
                    fallback = number
                if current.split(".")[0] == key and not table:
                    return number
            elif current == table and count in (nth, -1) and starts.match(line):
                return number
        return fallback

    def line_of_value(self, value: str) -> int:
        """The first line, comments aside, that holds a value as a word of its own; 0 where there is none."""
        word = re.compile(rf"(?<![\w.*/-]){re.escape(value)}(?![\w*/-])")
        for number, line in enumerate(self.text.splitlines(), 1):
            if not line.lstrip().startswith("#") and word.search(line):
                return number
        return 0


def _scenarios(source: Source, top: dict[str, Any]) -> tuple[str | Scenario, ...] | None:
    if "scenarios" not in top and "scenario" not in top:
        return None
    words = source.texts("", top, "scenarios")
    known = ("N-1", "shipped", *(s.name for s in SHIPPED_SCENARIOS))
    for word in words:
        if word not in known:
            raise source.error(
                f"scenarios: must be among {', '.join(known)}{nearest(word, known)}", word, "", "scenarios"
            )
    tables = top.get("scenario", [])
    if not isinstance(tables, list):
        raise source.error("scenario: must be a list of tables, [[scenario]]", tables, "", "scenario")
    return (*words, *(_scenario(source, table, nth) for nth, table in enumerate(tables)))


def _scenario(source: Source, table: Any, nth: int) -> Scenario:
    for key in source.mapping("scenario", table):
        if key not in _SCENARIO_KEYS:
            rule = f"{key}: is no key of a scenario{nearest(key, _SCENARIO_KEYS)}"
            raise source.error(rule, key, "scenario", key, nth)
    for key in ("name", "source", "targets"):
        if key not in table:
            raise source.error(f"{key}: must be given for every scenario", ", ".join(table), "scenario", key, nth)
    given = dict(table, source=tuple(table["source"]) if isinstance(table["source"], list) else table["source"])
    try:
        return Scenario(**given)
    except InvalidInput as error:
        raise _at(source, error, "scenario", nth) from None


def _at(source: Source, error: InvalidInput, table: str, nth: int = 0) -> InvalidInput:
    line = source.line_of(table, str(error).partition(":")[0], nth)
    return InvalidInput(f"{source.name}{f', line {line}' if line else ''}: {error}")


def _policy(source: Source, table: dict[str, Any]) -> ClassicPolicy:
    names = ("classic",)
    if table.get("name", "classic") not in names:
        rule = f"name: must be a policy, {', '.join(names)}{nearest(str(table['name']), names)}"
        raise source.error(rule, table["name"], "policy", "name")
    spikes = {"spike_window": "window", "spike_threshold": "threshold"}
    try:
        detector = RollingSigma(**{spikes[k]: v for k, v in table.items() if k in spikes})
        return ClassicPolicy(detector=detector, **{k: v for k, v in table.items() if k not in spikes and k != "name"})
    except InvalidInput as error:
        said = str(error)
        for key, option in spikes.items():
            if said.startswith(f"{option}:"):
                error = InvalidInput(said.replace(option, key, 1))
        raise _at(source, error, "policy") from None


def _thresholds(source: Source, table: Any) -> tuple[Thresholds, dict[str, Thresholds]]:
    table = source.mapping("thresholds", table)
    base = _threshold(source, {k: v for k, v in table.items() if not isinstance(v, dict)}, "thresholds", Thresholds())
    patterns = {
        name: _threshold(source, value, f"thresholds.{name}", base)
        for name, value in table.items()
        if isinstance(value, dict)
    }
    return base, patterns


def _threshold(source: Source, table: dict[str, Any], where: str, base: Thresholds) -> Thresholds:
    for key in table:
        if key not in _THRESHOLD_KEYS:
            raise source.error(f"{key}: is no key in [{where}]{nearest(key, _THRESHOLD_KEYS)}", key, where, key)
    try:
        return Thresholds(**{"warning_frac": base.warning_frac, "critical_frac": base.critical_frac, **table})
    except InvalidInput as error:
        raise _at(source, error, where) from None


def _duration(source: Source, table: dict[str, Any], key: str) -> float | None:
    if key not in table:
        return None
    value = table[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise source.error(f"{key}: must be a number of seconds above 0", value, "history", key)
    return float(value)


def _share(source: Source, table: dict[str, Any]) -> float:
    value = table.get("min_coverage", 0.0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise source.error("min_coverage: must be a fraction in [0, 1]", value, "check", "min_coverage")
    return float(value)
