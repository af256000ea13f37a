"""Policies as words on the command line: `peak:factor=1.1|1.2,window=7d` is two of them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ._commands_recovery import _seconds
from .errors import InvalidInput, invalid, nearest

if TYPE_CHECKING:
    from .config import Config

SIZED = ("quantile", "classic")
#: The rule of the TOML file, as `tune --write` left it there.
RULE = "rule"
#: Options that a word cannot say, or that change nothing in a backtest.
LEFT_OUT = ("policy", "detector", "confidence", "cost_cap")


def policies_of(specs: Sequence[str] | None, config: Config) -> list[Any]:
    """Every policy that the words name, each once; headroom policies are the TOML file's, with the words' options."""
    return list(dict.fromkeys(policy for spec in specs or () for policy in _of_one(spec, config)))


def _of_one(spec: str, config: Config) -> tuple[Any, ...]:
    from .backtest import (
        Clairvoyant,
        ForecastRule,
        LearnedRule,
        PeakRule,
        PercentileRule,
        SizedRule,
        ThresholdRule,
        grid,
    )

    rules = (PercentileRule, PeakRule, ThresholdRule, ForecastRule, LearnedRule, Clairvoyant)
    kinds = {kind.name: kind for kind in rules}
    name, colon, rest = spec.partition(":")
    known = (*kinds, *SIZED, RULE)
    if name not in known:
        raise invalid("--policy", f"must begin with a policy{nearest(name[:60], known)}", spec)
    if name == RULE:
        if colon:
            raise invalid("--policy: rule", "is the TOML file's, and takes no options", rest)
        policy: Any = config.policies[RULE]
        return (policy.rule,)
    own = () if name in kinds else dataclasses.fields(type(config.policies[name]))  # type: ignore[arg-type]
    fields = {f.name: f for f in (*dataclasses.fields(kinds.get(name, SizedRule)), *own) if f.name not in LEFT_OUT}
    words = {_word(field): field for field in fields.values()}
    given: dict[str, list[Any]] = {}
    for item in rest.split(",") if colon else ():
        word, equals, values = item.partition("=")
        field = words.get(word.strip().replace("-", "_"))
        if not equals or not word.strip():
            raise invalid(f"--policy: {name}", "must be followed by option=value, with , between them", item)
        if field is None:
            raise invalid(f"--policy: {name}", f"has no option {word.strip()[:40]}{nearest(word[:60], words)}", item)
        if field.name in given:
            raise invalid(f"--policy: {name}: {word}", "must be given once, with | between values", item)
        given[field.name] = [_value(text.strip(), field, f"--policy: {name}: {word}") for text in values.split("|")]
    try:
        if name in kinds:
            return grid(kinds[name], **given)
        varied = {f.name: given.pop(f.name) for f in own if f.name in given}
        combined = (dict(zip(varied, values, strict=True)) for values in itertools.product(*varied.values()))
        base: Any = config.policies[name]
        return grid(SizedRule, policy=[dataclasses.replace(base, **options) for options in combined], **given)
    except InvalidInput as error:
        word = _word(fields[error.argument]) if error.argument in fields else error.argument
        raise InvalidInput(f"--policy: {name}: {error.about(word)}") from None


def _word(field: dataclasses.Field[Any]) -> str:
    """Seconds are durations with units here."""
    return field.name.removesuffix("_s")


def _value(text: str, field: dataclasses.Field[Any], argument: str) -> Any:
    if text == "none" and "None" in str(field.type):
        return None
    if isinstance(field.default, str):
        return text
    if field.name.endswith("_s"):
        return _seconds(text, argument)
    try:
        return float(text)
    except ValueError:
        raise invalid(argument, "must be a number", text) from None
