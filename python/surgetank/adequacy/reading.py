"""A test from a file: JSON, or the ``[test]`` section of a TOML file. Every mistake is named, each with its line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, Protocol

from .._bridge import duration_s
from .._bridge import name as text_of_one
from .._toml import Source, text_of
from ..errors import InvalidInput, invalid, nearest, printable
from ..recovery.documents import Document, json_lines
from ..recovery.units import seconds_of
from .setting import (
    NOT_PRIMARY,
    AdequacyScenario,
    AdequacyTest,
    kind_of,
    multiplier_of,
    names_of,
    seconds_within,
)

#: Of a file that is wrong from end to end, so many mistakes are named.
MOST_PROBLEMS = 100
MOST_IN_KEY = 60
MOST_DIGITS = 400
_HOLDS = "must hold a test, as JSON or as a section [test] of TOML; `surgetank test --init` writes one"
_PRIMARY, _SECONDARIES, _KIND = "primary_region", "secondary_regions", "kind"


@dataclass(frozen=True)
class Spelling:
    """How one kind of file calls things, and how it writes times."""

    services: str
    scenarios: str
    configs: str
    multiplier: str
    duration: str
    ramp: str
    duration_of: Callable[[Any, str], float]
    ramp_of: Callable[[Any, str], float]

    @property
    def keys(self) -> tuple[str, ...]:
        """Of the whole test."""
        return (_PRIMARY, _SECONDARIES, self.services, self.scenarios, self.configs)

    @property
    def scenario_keys(self) -> tuple[str, ...]:
        """Of one scenario."""
        return (self.multiplier, self.duration, self.ramp, _KIND)


def _units_of(seconds: float, unit: str) -> Callable[[Any, str], float]:
    def read(value: Any, argument: str) -> float:
        try:
            return seconds_within(duration_s(value, argument, above=True) * seconds, argument)
        except InvalidInput:
            raise invalid(argument, f"must be a number of {unit} above 0, at most ten years", value) from None

    return read


def _text_with_unit(value: Any, argument: str) -> float:
    seconds = seconds_of(value, argument)
    if not seconds > 0:
        raise invalid(argument, "must be a duration above 0", value)
    return seconds_within(seconds, argument)


JSON = Spelling(
    "services_to_test", "test_scenarios", "scenario_configs", "traffic_multiplier", "duration_hours", "ramp_up_minutes",
    _units_of(3600.0, "hours"), _units_of(60.0, "minutes"),
)  # fmt: skip
TOML = Spelling("services", "scenarios", "scenario", "multiplier", "duration", "ramp", _text_with_unit, _text_with_unit)


class Places(Protocol):
    """A file that knows its lines."""

    def at(self, message: str, *where: str | int) -> InvalidInput:
        """Make an error with the file and the line of what it is about."""

    def line(self, *where: str | int) -> int:
        """Give the line on which something stands, or what it is part of."""


def read_test(path: Path) -> AdequacyTest:
    """Read a file; what it is is told by what it holds. See `AdequacyTest.read`."""
    return read_file(path)[0]


def read_file(path: Path) -> tuple[AdequacyTest, Source | None]:
    """Read a file once; give the test, and the whole of the file where it is TOML."""
    text = text_of(path)
    name = printable(path.name)
    if not text.strip():
        raise InvalidInput(f"{name}: {_HOLDS} (got an empty file)", argument=name)
    if text.lstrip().startswith("{"):
        return _of_json(name, text), None
    try:
        source = Source.parse(name, text)
    except InvalidInput:
        if path.suffix.lower() == ".json":  # neither; then the name tells which error helps
            return _of_json(name, text), None
        raise
    if "test" not in source.body:
        raise InvalidInput(f"{name}: {_HOLDS} (got TOML without one)", argument=name)
    return section_of(source), source


def section_of(source: Source) -> AdequacyTest:
    """The test of a TOML file's section [test]; its other sections are not looked at."""
    return _Reading(source, TOML, ("test",)).read(source.body["test"])


def _of_json(name: str, text: str) -> AdequacyTest:
    twice: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                twice.append(key)
            found[key] = value
        return found

    def whole(digits: str) -> float:  # Python refuses integers of thousands of digits; the rules refuse infinity
        return int(digits) if len(digits) < MOST_DIGITS else float(digits)

    try:
        body = json.loads(text, object_pairs_hook=unique, parse_int=whole)
    except (ValueError, RecursionError) as error:
        line = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        reason = getattr(error, "msg", None) or str(error)
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else reason
        raise InvalidInput(f"{name}{line}: must be valid JSON: {printable(reason, 200)}", argument=name) from None
    reading = _Reading(Document(name, body, lambda: json_lines(text)), JSON, ())
    for key in twice:
        reading.add(InvalidInput(f"{printable(key, MOST_IN_KEY)}: must stand once in its object (got it twice)"))
    return reading.read(body)


class _Reading:
    """Goes through a file and collects what is wrong with it."""

    def __init__(self, file: Places, spelling: Spelling, top: tuple[str, ...]) -> None:
        self.file, self.spelling, self.top = file, spelling, top
        self.problems: list[tuple[int, InvalidInput]] = []

    def add(self, error: InvalidInput, *where: str | int) -> None:
        """Keep a problem with its place."""
        place = (*self.top, *where)
        self.problems.append((self.file.line(*place), self.file.at(str(error), *place)))

    def take(self, kind: Callable[[Any, str], Any], value: Any, *where: str) -> Any:
        """A value as ``kind`` takes it; None, and a problem, where it does not."""
        try:
            return kind(value, self.path(*where))
        except InvalidInput as error:
            self.add(error, *where)
            return None

    def path(self, *where: str) -> str:
        """The place as a path of keys."""
        return ".".join(key[:MOST_IN_KEY] for key in (*self.top, *where))

    def read(self, body: Any) -> AdequacyTest:
        """Read the whole test, or raise the first problem with the others."""
        spelling = self.spelling
        given = self.table(body, spelling.keys)
        found: dict[str, Any] = {}
        kinds = {_PRIMARY: text_of_one, _SECONDARIES: _list, spelling.services: _list, spelling.scenarios: _list}
        for key, kind in kinds.items():
            if key in given:
                found[key] = self.take(kind, given[key], key)
            elif isinstance(body, dict):
                self.add(InvalidInput(f"{self.path(key)}: must be stated (got nothing)"))
        primary, secondaries = found.get(_PRIMARY), found.get(_SECONDARIES)
        if primary and primary in (secondaries or ()):
            self.add(invalid(self.path(_SECONDARIES), NOT_PRIMARY, primary), _SECONDARIES)
        configs = self.table(given.get(spelling.configs, {}), None, spelling.configs)
        described = {name: self.scenario(name, value) for name, value in configs.items()}
        listed = found.get(spelling.scenarios) or ()
        scenarios = [described.get(name) or AdequacyScenario.named(name) for name in listed]
        if self.problems:
            self.refuse()
        return AdequacyTest(
            primary_region=found[_PRIMARY],
            secondary_regions=found[_SECONDARIES],
            services=found[spelling.services],
            scenarios=scenarios,
            unlisted=tuple(name for name in described if name not in listed),
        )

    def scenario(self, name: str, body: Any) -> AdequacyScenario | None:
        """One scenario; what it does not state is as shipped under that name, or by default."""
        spelling, where = self.spelling, (self.spelling.configs, name)
        if not name:
            self.add(invalid(self.path(spelling.configs), "must have names that are not empty", name), *where)
            return None
        given = self.table(body, spelling.scenario_keys, *where)
        base = AdequacyScenario.named(name)
        kinds = (
            ("multiplier", spelling.multiplier, multiplier_of),
            ("duration_s", spelling.duration, spelling.duration_of),
            ("ramp_s", spelling.ramp, spelling.ramp_of),
            ("kind", _KIND, kind_of),
        )
        stated = {f: self.take(kind, given[key], *where, key) for f, key, kind in kinds if key in given}
        if None in stated.values():
            return None
        if "ramp_s" not in stated:  # a short event has a short ramp
            stated["ramp_s"] = min(base.ramp_s, stated.get("duration_s", base.duration_s))
        elif stated["ramp_s"] > stated.get("duration_s", base.duration_s):
            rule, key = "must be at most the duration", spelling.ramp
            self.add(invalid(self.path(*where, key), rule, given[key]), *where, key)
            return None
        return replace(base, **stated)

    def table(self, value: Any, keys: Iterable[str] | None, *where: str) -> Mapping[str, Any]:
        """A table whose keys are known; what is known of it where some are not."""
        if not isinstance(value, dict):
            rule = "must be a table of keys and values"
            self.add(invalid(self.path(*where) or "the file", rule, value), *where)
            return {}
        known = tuple(value if keys is None else keys)
        for key in value:
            if key not in known:
                rule = f"is no key here{nearest(key[:MOST_IN_KEY], known)}"
                self.add(invalid(self.path(*where, key), rule, value[key]), *where, key)
        return {key: value[key] for key in value if key in known}

    def refuse(self) -> NoReturn:
        """Raise the first problem of the file, with the others beside it."""
        ordered = [error for _, error in sorted(self.problems, key=lambda one: one[0])]
        first, others = ordered[0], [str(error) for error in ordered[1:MOST_PROBLEMS]]
        if len(ordered) > MOST_PROBLEMS:
            others.append(f"{len(ordered) - MOST_PROBLEMS:,} more mistakes")
        raise InvalidInput(str(first), argument=first.argument, others=others)


def _list(value: Any, argument: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise invalid(argument, "must be a list of texts", value)
    return names_of(value, argument)
