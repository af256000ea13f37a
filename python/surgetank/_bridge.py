"""Arrays, durations, instants and options in: coerced and explained here, so that the core may be strict."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
import operator
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import invalid

Floats = NDArray[np.float64]
MOST_SECONDS = 30_000 * 366 * 86_400
Duration = float | dt.timedelta
Instant = str | float | dt.datetime | np.datetime64


def numbers(values: ArrayLike, argument: str) -> Floats:
    """Float64 of any shape from integers, floats, booleans or objects that are numbers; None and masks become NaN."""
    mask = np.ma.getmask(values)
    try:
        array = np.asarray(np.ma.getdata(values) if mask is not np.ma.nomask else values)
    except (ValueError, OverflowError) as error:
        raise invalid(argument, "must be one rectangular array of numbers", type(values).__name__) from error
    if array.dtype.kind not in "biufO":
        raise invalid(argument, "must hold numbers", _first_text(array) or f"dtype {array.dtype}")
    if array.dtype.kind == "O":
        for value in array.flat:
            if isinstance(value, str | bytes | complex | dt.timedelta | np.timedelta64 | np.complexfloating):
                raise invalid(argument, "must hold numbers", value)
    try:
        floats = as_float64(array)
    except (TypeError, ValueError, OverflowError) as error:
        raise invalid(argument, "must hold numbers within the range of float64", f"dtype {array.dtype}") from error
    if mask is not np.ma.nomask:
        return np.where(mask, np.nan, floats)
    # The core's compiled code may rely on it; ascontiguousarray leaves such an array as it is.
    return floats if floats.flags.aligned else floats.copy()


def as_float64(array: NDArray[Any]) -> Floats:
    """Float64 of an array of numbers; what exceeds it becomes inf, a signalling NaN a quiet one, without a warning."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(array, dtype=np.float64)


def _first_text(array: NDArray[Any]) -> str:
    return str(array.flat[0]) if array.dtype.kind in "US" and array.size else ""


def samples(values: ArrayLike, argument: str = "usage") -> tuple[Floats, tuple[int, ...]]:
    """Usage of shape (T,), (T, R) or (T, S, R) as a (T, N) view the core takes, and the shape of one instant.

    No copy for float64 in C order, (T, R) in Fortran order, or any positive strides of whole items.
    """
    array = numbers(values, argument)
    if array.ndim not in (1, 2, 3):
        raise invalid(argument, "must have shape (T,), (T, R) or (T, S, R)", f"shape {array.shape}")
    if array.size == 0:
        raise invalid(argument, "must hold at least one sample", f"shape {array.shape}")
    matrix = array.reshape(array.shape[0], -1)
    whole_items = all(stride > 0 and stride % 8 == 0 for stride in matrix.strides)
    if not whole_items:
        matrix = np.ascontiguousarray(matrix, dtype=np.float64)
    return matrix, array.shape[1:]


def per_series(values: ArrayLike, argument: str, shape: tuple[int, ...]) -> Floats:
    """One number per series: ``shape`` as given, or a single number for all of them; flat, of its own memory."""
    array = numbers(values, argument)
    if shape == () and array.shape == (1,):
        array = array[0]
    if array.shape not in ((), shape):
        raise invalid(argument, f"must have the shape of one instant of usage, {shape}", f"shape {array.shape}")
    return np.array(np.broadcast_to(array, shape), dtype=np.float64).reshape(-1)


def switches(values: ArrayLike, argument: str, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """One True or False per series, or one for all of them; 1 and 0 are understood."""
    given = per_series(values, argument, shape)
    odd = given[(given != 0) & (given != 1)]
    if len(odd):
        raise invalid(argument, "must be True or False", odd[0])
    return np.asarray(given != 0)


def names(values: object, argument: str) -> tuple[str, ...]:
    """A tuple of texts from any iterable of them; a bare text is one."""
    given = (values,) if isinstance(values, str) else values
    try:
        result: tuple[object, ...] = tuple(given)  # type: ignore[arg-type]
    except TypeError:
        result = (None,)
    texts = tuple(name for name in result if isinstance(name, str))
    if len(texts) != len(result):
        raise invalid(argument, "must be a sequence of texts", values)
    return texts


def name(value: object, argument: str) -> str:
    """One text that is not empty."""
    if not isinstance(value, str) or not value:
        raise invalid(argument, "must be a text that is not empty", value)
    return value


def like_instant(flat: NDArray[Any], shape: tuple[int, ...]) -> Any:
    """A flat result in the shape of one instant of usage; a NumPy scalar where usage was (T,). Read-only."""
    array = flat.reshape(shape)
    return array[()] if shape == () else array


def duration_s(value: Duration, argument: str, *, least: float = 0.0, above: bool = False) -> float:
    """Seconds as float from a number or a timedelta; at least (``above``: more than) ``least``."""
    seconds: object = value
    if isinstance(value, dt.timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, np.timedelta64):
        try:
            seconds = value / np.timedelta64(1, "s")
        except TypeError as error:
            raise invalid(argument, "must be a duration of fixed length", value) from error
    rule = f"must be a finite duration of {'more than' if above else 'at least'} {least:g} seconds"
    return number(seconds, argument, rule=rule, least=least, above=above)


def number(
    value: object, argument: str, *, rule: str = "must be a number", least: float = -math.inf, above: bool = False
) -> float:
    """A finite float that is at least (``above``: more than) ``least``."""
    result = _real(value, argument, rule)
    if not math.isfinite(result) or result < least or (above and result <= least):
        raise invalid(argument, rule, value)
    return result


def fraction(value: object, argument: str, *, rule: str = "must be a fraction in [0, 1]") -> float:
    """A float in [0, 1]."""
    result = number(value, argument, rule=rule, least=0)
    if result > 1:
        raise invalid(argument, rule, value)
    return result


def fractions(values: object, argument: str) -> tuple[float, ...]:
    """A tuple of floats in [0, 1] from any iterable of them; a bare number is one."""
    rule = "must be fractions in [0, 1]"
    try:
        given: tuple[object, ...] = (values,) if isinstance(values, str | bytes) else tuple(values)  # type: ignore[arg-type]
    except TypeError:
        given = (values,)
    return tuple(fraction(value, argument, rule=rule) for value in given)


def threads(value: object, argument: str = "threads") -> int:
    """A number of threads, 0 for all of the machine's."""
    count = whole(value, argument, "must be a whole number, 0 (all of the machine's) or more")
    if not 0 <= count < 2**31:
        raise invalid(argument, "must be 0 (all of the machine's) or more, and no more than a machine has", value)
    return count


def whole(value: object, argument: str, rule: str) -> int:
    """An int; neither a float nor a truth value."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError as error:
        raise invalid(argument, rule, value) from error


def _real(value: object, argument: str, rule: str) -> float:
    # NumPy counts timedelta64 among the integers.
    if isinstance(value, bool | np.timedelta64) or not isinstance(value, int | float | np.integer | np.floating):
        raise invalid(argument, rule, value)
    try:
        return float(value)
    except OverflowError as error:
        raise invalid(argument, "must be within the range of float64", "an integer beyond it") from error


def instant_s(value: Instant, argument: str, tz: dt.tzinfo | None = None) -> int:
    """Epoch seconds (UTC, rounded down) of an ISO 8601 text, an aware datetime, a datetime64 (UTC) or epoch seconds.

    A text or datetime without a zone is refused unless ``tz`` states it.
    """
    rule = "must be an instant: ISO 8601, an aware datetime, datetime64 or epoch seconds"
    if isinstance(value, np.datetime64):
        if np.isnat(value):
            raise invalid(argument, rule, value)
        value = int(value.astype("datetime64[s]").astype(np.int64))
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
        except ValueError as error:
            raise invalid(argument, rule, value) from error
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            if tz is None:
                raise invalid(argument, "has no time zone; end it with Z, or with an offset such as +01:00", str(value))
            value = value.replace(tzinfo=tz)
        return math.floor(value.timestamp())
    seconds = math.floor(number(value, argument, rule=rule))
    if abs(seconds) > MOST_SECONDS:
        raise invalid(argument, "must lie within 30,000 years of 1970", value)
    return seconds


def zone(name: str | dt.tzinfo | None, argument: str = "tz") -> dt.tzinfo | None:
    """The time zone of that IANA name, such as ``Europe/Berlin`` or ``UTC``."""
    if name is None or isinstance(name, dt.tzinfo):
        return name
    if not isinstance(name, str):
        raise invalid(argument, "must be a known IANA time zone such as Europe/Berlin", name)
    if name.upper() in ("UTC", "Z"):
        return dt.timezone.utc
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise invalid(argument, "must be a known IANA time zone such as Europe/Berlin", name) from error


class _CoreOptions(Protocol):
    def check(self) -> None: ...


Options = TypeVar("Options", bound=_CoreOptions)


def options(kind: type[Options], given: Any, own: tuple[str, ...] = ()) -> Options:
    """The core's options aggregate from the façade's dataclass; fields of the same name, types as the core has them.

    ``own`` names the fields that only the façade reads; any other must be known to the core.
    """
    result = kind()
    for field in dataclasses.fields(given):
        if field.name in own:
            continue
        value, default = getattr(given, field.name), getattr(result, field.name)
        setattr(result, field.name, _as_type_of(default, value, field.name))
    result.check()
    return result


def _as_type_of(default: object, value: object, argument: str) -> object:
    if isinstance(default, bool):
        if not isinstance(value, bool | np.bool_):
            raise invalid(argument, "must be True or False", value)
        return bool(value)
    if isinstance(default, int):
        number_ = whole(value, argument, "must be a whole number")
        if abs(number_) >= 2**62:
            raise invalid(argument, "must fit in 62 bits", value)
        return number_
    if isinstance(value, dt.timedelta) and argument.endswith("_s"):
        return value.total_seconds()
    return _real(value, argument, "must be a number")
