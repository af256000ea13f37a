"""A duration of a TOML file: a text with a unit, or a table of one distribution or one model."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import InvalidInput, nearest
from . import distributions as d
from .models import MODELS
from .units import NEEDS_UNIT, seconds_of

if TYPE_CHECKING:
    from .._toml import Source

_NUMBERS = ("shape", "weight", "at")
_PLAIN: dict[str, tuple[Callable[..., d.Distribution], tuple[str, ...]]] = {
    "fixed": (d.Fixed, ("value",)),
    "uniform": (d.Uniform, ("low", "high")),
    "triangular": (d.Triangular, ("low", "likely", "high")),
    "pert": (d.Pert, ("low", "likely", "high")),
    "lognormal": (d.Lognormal, ("median", "p95")),
    "gamma": (d.Gamma, ("shape", "scale")),
    "exponential": (d.Exponential, ("mean",)),
    "weibull": (d.Weibull, ("shape", "scale")),
}
_OPTIONAL = {"pert": ("weight", "at"), "triangular": ("at",)}
_FITTED: dict[str, Callable[..., d.Distribution]] = {
    "pert": d.Pert.from_quantiles,
    "triangular": d.Triangular.from_quantiles,
}
#: The kinds of distributions, as a file names them.
KINDS = (*_PLAIN, "empirical", "mixture", "truncated")


@dataclass(frozen=True)
class Place:
    """Where in a file a value stands, and what errors call it."""

    source: Source
    where: tuple[str | int, ...]
    label: str

    def inside(self, *where: str | int) -> Place:
        """A part of it; words of the path go into the label."""
        words = (self.label, *(str(part)[:60] for part in where if isinstance(part, str)))
        return Place(self.source, (*self.where, *where), ": ".join(words))

    def error(self, rule: str, got: object) -> InvalidInput:
        """The error "file, line n: label: rule (got value)"."""
        return self.source.error(f"{self.label}: {rule}", got, *self.where)

    def said(self, error: InvalidInput) -> InvalidInput:
        """What a distribution or a model says of its own arguments, in the words of the file."""
        words = re.sub(r"([a-z0-9])_s(?![a-z_])", r"\1", str(error))
        return self.source.at(f"{self.label}: {words}", *self.where)


def seconds(value: Any, at: Place) -> float:
    """Seconds of a text with a unit."""
    try:
        return seconds_of(value, at.label)
    except InvalidInput as error:
        raise at.source.at(str(error), *at.where) from None


def duration(value: Any, at: Place) -> d.Distribution:
    """The distribution that a text or a table means."""
    if isinstance(value, str):
        return d.Fixed(seconds(value, at))
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise at.error(NEEDS_UNIT, value)
    if not isinstance(value, dict):
        raise at.error('must be a duration such as "5m", or a table such as { uniform = ["1m", "5m"] }', value)
    if len(value) != 1:
        raise at.error("must be a table of one distribution or model", ", ".join(value) or "an empty table")
    ((kind, given),) = value.items()
    inner = at.inside(kind)
    if kind in _PLAIN:
        return _plain(kind, given, inner)
    if kind in MODELS:
        return _model(kind, given, inner)
    if kind == "empirical":
        return _empirical(given, inner)
    if kind == "mixture":
        return _mixture(given, inner)
    if kind == "truncated":
        return _truncated(given, inner)
    rule = f"{at.label}: must be a distribution or a model{nearest(kind[:60], (*KINDS, *MODELS))}"
    raise at.source.error(rule, kind, *inner.where)


def _plain(kind: str, given: Any, at: Place) -> d.Distribution:
    make, names = _PLAIN[kind]
    if isinstance(given, dict):
        _check_keys(given, names, _OPTIONAL.get(kind, ()), at)
        values = {key: _argument(key, value, at.inside(key)) for key, value in given.items()}
    else:
        items = given if isinstance(given, list) else [given]
        if len(items) != len(names):
            raise at.error(f"must have {', '.join(names)}", given)
        values = {name: _argument(name, item, at.inside(name)) for name, item in zip(names, items, strict=True)}
    keys = {key if key in _NUMBERS else f"{key}_s": value for key, value in values.items()}
    if "at" in keys:
        if "weight" in keys:
            raise at.error("must have weight or at, not both", ", ".join(given))
        make, keys["confidence"] = _FITTED[kind], keys.pop("at")
    return _made(make, keys, at)


def _argument(key: str, value: Any, at: Place) -> Any:
    return value if key in _NUMBERS else seconds(value, at)


def _made(make: Callable[..., d.Distribution], arguments: dict[str, Any], at: Place) -> d.Distribution:
    try:
        return make(**arguments)
    except InvalidInput as error:
        raise at.said(error) from None


def _check_keys(given: dict[str, Any], required: tuple[str, ...], optional: tuple[str, ...], at: Place) -> None:
    for key in given:
        if key not in (*required, *optional):
            rule = f"{at.label}: {key[:60]}: is no key of it{nearest(key[:60], (*required, *optional))}"
            raise at.source.error(rule, key, *at.where, key)
    for key in required:
        if key not in given:
            raise at.error(f"must have {', '.join(required)}", ", ".join(given) or "an empty table")


def _empirical(given: Any, at: Place) -> d.Distribution:
    if not isinstance(given, list) or not given:
        raise at.error('must be a list of durations, such as ["60s", "75s"]', given)
    return _made(d.Empirical, {"values_s": [seconds(item, at.inside(nth)) for nth, item in enumerate(given)]}, at)


def _mixture(given: Any, at: Place) -> d.Distribution:
    if not isinstance(given, list) or not given:
        raise at.error('must be a list of tables, such as { weight = 0.8, duration = "5m" }', given)
    parts = []
    for nth, part in enumerate(given):
        place = at.inside(nth)
        if not isinstance(part, dict):
            raise place.error('must be a list of tables, such as { weight = 0.8, duration = "5m" }', part)
        _check_keys(part, ("weight", "duration"), (), place)
        parts.append((part["weight"], duration(part["duration"], place.inside("duration"))))
    return _made(d.Mixture, {"parts": parts}, at)


def _truncated(given: Any, at: Place) -> d.Distribution:
    if not isinstance(given, dict):
        raise at.error("must be a table with of, and low or high or both", given)
    _check_keys(given, ("of",), ("low", "high"), at)
    bounds = {f"{key}_s": seconds(given[key], at.inside(key)) for key in ("low", "high") if key in given}
    return _made(d.Truncated, {"of": duration(given["of"], at.inside("of")), **bounds}, at)


def _model(kind: str, given: Any, at: Place) -> d.Distribution:
    import inspect

    parameters = inspect.signature(MODELS[kind]).parameters
    names = {name.removesuffix("_s"): name for name in parameters}
    if not isinstance(given, dict):
        if not names:
            raise at.error("takes nothing: must be an empty table, {}", given)
        given = {next(iter(names)): given}
    required = tuple(key for key, name in names.items() if parameters[name].default is inspect.Parameter.empty)
    for key in given:
        if key not in names:
            hint = nearest(key[:60], names) or "; it takes none"
            raise at.source.error(f"{at.label}: {key[:60]}: is no key of it{hint}", key, *at.where, key)
    _check_keys(given, required, tuple(names), at)
    arguments = {
        names[key]: seconds(value, at.inside(key)) if names[key].endswith("_s") else value
        for key, value in given.items()
    }
    return _made(MODELS[kind], arguments, at)
