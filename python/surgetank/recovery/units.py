"""Durations as people write them: "90s", "1h 30m"."""

from __future__ import annotations

import re

from ..errors import invalid

_SIZES = (
    (604_800.0, ("w", "week", "weeks")),
    (86_400.0, ("d", "day", "days")),
    (3600.0, ("h", "hr", "hrs", "hour", "hours")),
    (60.0, ("m", "min", "mins", "minute", "minutes")),
    (1.0, ("s", "sec", "secs", "second", "seconds")),
    (1e-3, ("ms", "millisecond", "milliseconds")),
)
_SIZE = {word: size for size, words in _SIZES for word in words}
_PART = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?(?:e[+-]?[0-9]+)?|\.[0-9]+)\s*([A-Za-z]+)\s*")
MOST_CHARACTERS = 200
NEEDS_UNIT = 'needs a unit, such as "5m"'


def seconds_of(text: object, argument: str) -> float:
    """Seconds in a text with units, such as "90s", "5 min", "1h 30m", "2d" or "500ms".

    Parameters
    ----------
    text : str
        Numbers, each with a unit: w, d, h, m (or min), s, ms, and the words. Larger units come first, each once.
    argument : str
        What the errors call it.

    Raises
    ------
    InvalidInput
        No text, no unit, an unknown unit, a unit twice, or more than float64 holds.

    Examples
    --------
    >>> seconds_of("1h 30m", "target")
    5400.0
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        raise invalid(argument, NEEDS_UNIT, text)
    if not isinstance(text, str):
        raise invalid(argument, 'must be a duration with a unit, such as "5m"', text)
    rule = 'must be a duration, such as "90s", "5m" or "1h 30m"'
    if not text.strip() or len(text) > MOST_CHARACTERS:
        raise invalid(argument, rule, text)
    if re.fullmatch(r"\s*[-+]?[0-9.]+(e[+-]?[0-9]+)?\s*", text):
        raise invalid(argument, NEEDS_UNIT, text)
    total, at, last = 0.0, 0, float("inf")
    while at < len(text):
        part = _PART.match(text, at)
        if part is None:
            raise invalid(argument, rule, text)
        size = _SIZE.get(part[2] if part[2] in _SIZE else part[2].lower())
        if size is None:
            raise invalid(argument, "must have units among w, d, h, m, s, ms", text)
        if size >= last:
            raise invalid(argument, "must have larger units first, each once", text)
        total += float(part[1]) * size if size >= 1 else float(part[1]) / 1000
        at, last = part.end(), size
    if total == float("inf"):
        raise invalid(argument, "must be a finite duration", text)
    return total


def duration_text(seconds: float) -> str:
    """The shortest plain text that `seconds_of` reads back as exactly the same number.

    Examples
    --------
    >>> duration_text(5400.0), duration_text(0.25)
    ('1h 30m', '0.25s')
    """
    if not (seconds == int(seconds) and seconds < 1e9):
        return f"{seconds!r}s"
    rest, parts = int(seconds), []
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) if len(parts) <= 2 and parts else f"{int(seconds)}s"
