"""The slow, obvious twin of `adequacy`: plain loops over fractions, written from the specification."""

from fractions import Fraction

TOLERANCE = Fraction(1, 10**12)


def fits(need, room):
    return need - room <= TOLERANCE * need


def free(usage, quota, reserved):
    """What is left; None where anything is not known."""
    if usage is None or quota is None:
        return None
    left = Fraction(quota) - Fraction(usage) - Fraction(reserved)
    return left if left > 0 else Fraction(0)


def judge(primary, secondaries, multiplier, *, in_place):
    """Status, need and room of one quota; a Region is (usage, quota, reserved), None where that is not known."""
    usage, quota, reserved = primary
    if usage is None or quota is None:
        return "UNKNOWN", None, None
    need = Fraction(usage) * Fraction(multiplier)
    rooms = [free(0, quota, reserved)] if in_place else [free(*region) for region in secondaries]
    known = [room for room in rooms if room is not None]
    if not known:
        return "UNKNOWN", need, None
    total = Fraction(0)
    for room in known:
        total += room
    if fits(need, total):
        return "passed", need, total
    if len(known) < len(rooms):
        return "UNKNOWN", need, total
    if need - total <= need * (Fraction(1, 10) + TOLERANCE):
        return "warning", need, total
    return "failed", need, total


def ramp(primary, secondaries, multiplier, *, in_place):
    """The loads of ten steps, the first that does not fit in what is free, and the first that not everyone takes."""
    usage, quota, reserved = primary
    if in_place:
        rooms = [free(0, quota, reserved)]
        last = Fraction(multiplier)  # below 1 it is at once what it will be
        loads = [Fraction(usage) * (min(1, last) * (10 - k) + last * k) / 10 for k in range(1, 11)]
    else:
        rooms = [free(*region) or Fraction(0) for region in secondaries]
        loads = [Fraction(usage) * Fraction(multiplier) * k / 10 for k in range(1, 11)]
    stop = naive_stop = None
    for k, load in enumerate(loads, 1):
        if stop is None and not fits(load, sum(rooms)):
            stop = k
        if naive_stop is None and not all(fits(load, room) for room in rooms):
            naive_stop = k
    return loads, stop, naive_stop
