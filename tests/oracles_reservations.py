"""The slow, obvious twin of a store's reservations: dictionaries, exact fractions, one call after the other."""

import copy
import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np


@dataclass(frozen=True)
class Row:
    """One reservation."""

    amount: float
    created: int
    expires: int
    purge: int
    status: str = "active"
    ended: int | None = None
    forced: bool = False

    def holds(self, now):
        return self.status == "active" and now < self.expires


@dataclass(frozen=True)
class Answer:
    """What a claim is answered."""

    coordination: str
    granted: bool
    short: tuple = ()
    repeated: bool = False


class Refused(Exception):
    """The argument that breaks a rule."""


class Twin:
    """All that a store knows of quotas, usage and reservations."""

    def __init__(self):
        self.quota, self.usage = {}, {}
        self.rows = {}  # (coordination, key) → Row
        self.claims = {}  # coordination → (token, request)
        self.lines = []  # (action, coordination, {key: (was, amount)}, forced)
        self.order = []  # keys, as the store learnt of them

    def learn(self, keys):
        self.order += [key for key in keys if key not in self.order]

    def place(self, key):
        """Of several that expire together, which comes first."""
        return self.order.index(key)

    # What is asked.

    def left(self, key, now, stale_after=None, but=None):
        """What is free, exactly; None where that is not known."""
        if math.isnan(self.quota.get(key, math.nan)) or not self.usage.get(key):
            return None
        times = sorted(self.usage[key])
        days = sorted({t // 86_400 for t in times if t // 86_400 <= now // 86_400})[-2:]
        past = [t for t in times if t <= now and t // 86_400 in days]  # its steps are those of the last two days
        step = float(np.median(np.diff(past))) if len(past) > 1 else 0.0
        if past and now - past[-1] > (max(3600.0, 12 * step) if stale_after is None else stale_after):
            return None
        held = [r for (name, k), r in self.rows.items() if k == key and name != but and r.holds(now)]
        return Fraction(self.quota[key]) - Fraction(self.used(key, now)) - sum(Fraction(r.amount) for r in held)

    def used(self, key, now):
        """What was used last; what comes later counts where it is more."""
        times = self.usage[key]
        last = max((t for t in times if t <= now), default=min(times))
        return max(used for t, used in times.items() if t >= last)

    def fits(self, key, amount, *where):
        left = self.left(key, *where)
        return left is not None and Fraction(amount) <= left

    def oversold(self, key):
        """Whether more is promised than there is, whatever a clock says: all that nobody has ended counts."""
        held = sum(Fraction(r.amount) for (_, k), r in self.rows.items() if k == key and r.status == "active")
        used = self.usage[key][max(self.usage[key])] if self.usage.get(key) else 0.0
        quota = self.quota.get(key, math.nan)
        return bool(held) and (math.isnan(quota) or Fraction(used) + held > Fraction(quota))

    def of(self, name):
        return {key: row for (n, key), row in self.rows.items() if n == name}

    def reserved(self, then):
        """Key → what was held at that moment, which may lie in the past."""
        result = {}
        for (_, key), row in self.rows.items():
            if row.created <= then < min(row.expires, row.expires if row.ended is None else row.ended):
                result.setdefault(key, []).append(Fraction(row.amount))
        return result

    # What is done.

    def undone(self, call):
        """Do it, give its answer, and leave everything as it was."""
        before = copy.deepcopy(self.__dict__)
        try:
            return call()
        finally:
            self.__dict__.update(before)

    def reserve(self, amounts, now, hold, purge, name, token=None, force=False, stale_after=None, named=True):
        request = (dict(amounts), float(hold), float(purge), name if named else None, force)
        for known, (its, asked) in self.claims.items():
            if token is not None and its == token:
                if asked != request:
                    raise Refused("token")
                return Answer(known, True, repeated=True)
        if name in self.claims:
            raise Refused("coordination")
        short = tuple(key for key, amount in amounts.items() if not self.fits(key, amount, now, stale_after))
        if short and not force:
            return Answer(name, False, short)
        self.overdue(now)
        self.learn(amounts)
        self.claims[name] = (token, request)
        ends = now + math.ceil(hold), now + math.ceil(purge)
        made = {key: Row(amount, now, *ends, forced=key in short) for key, amount in amounts.items()}
        self.change("reserve", name, made)
        return Answer(name, True, short)

    def resize(self, name, amounts, now, hold=None, force=False, stale_after=None):
        if name not in self.claims:
            raise Refused("coordination")
        held = {key: row for key, row in self.of(name).items() if row.holds(now)}
        if not held:
            raise Refused("coordination")
        more = {key: a for key, a in amounts.items() if a > (held[key].amount if key in held else 0)}
        short = tuple(key for key, amount in more.items() if not self.fits(key, amount, now, stale_after, name))
        if short and not force:
            return Answer(name, False, short)
        self.overdue(now)
        one = next(iter(held.values()))
        until = one.expires if hold is None else max(one.expires, now + math.ceil(hold))
        became = {}
        for key in [*held, *(key for key in amounts if key not in held)]:
            row, amount = held.get(key), amounts.get(key, 0.0)
            if not amount:
                if row:
                    became[key] = replace(row, status="released", ended=now)
                continue
            old = row or self.of(name).get(key)
            row = row or Row(amount, now, *((old.expires, old.purge) if old else (one.expires, one.purge)))
            forced = key in short or (row.forced and key not in more)
            became[key] = later(replace(row, amount=amount, forced=forced), until)
        self.learn(became)
        self.change("resize", name, {k: r for k, r in became.items() if self.rows.get((name, k)) != r})
        return Answer(name, True, short)

    def renew(self, name, now, hold):
        self.known(name)
        self.overdue(now)
        until = now + math.ceil(hold)
        found = {key: later(row, until) for key, row in self.of(name).items() if row.status == "active"}
        self.change("renew", name, found)
        return found

    def release(self, name, now, keys=None):
        self.known(name)
        if any(key not in self.of(name) for key in keys or ()):
            raise Refused("keys")
        self.overdue(now)
        held = {k: r for k, r in self.of(name).items() if r.status == "active" and (keys is None or k in keys)}
        gone = {key: replace(row, status="released", ended=now) for key, row in held.items()}
        self.change("release", name, gone)
        return gone

    def overdue(self, now):
        """Note what has expired: a line for each coordination, the oldest first."""
        due = sorted((row.created, name, self.place(key), key, row) for (name, key), row in self.rows.items()
                     if row.status == "active" and row.expires <= now)  # fmt: skip
        for name in dict.fromkeys(one[1] for one in due):
            gone = {key: replace(row, status="expired", ended=row.expires) for _, n, _, key, row in due if n == name}
            self.change("expire", name, gone)
        return [(name, key) for _, name, _, key, _ in due]

    def purge(self, now):
        self.overdue(now)
        gone = sorted((row.created, name, self.place(key), key) for (name, key), row in self.rows.items()
                      if row.status != "active" and row.purge <= now)  # fmt: skip
        for name in dict.fromkeys(one[1] for one in gone):
            keys = [key for _, n, _, key in gone if n == name]
            for key in keys:
                del self.rows[name, key]
            self.lines.append(("purge", name, dict.fromkeys(keys, (0.0, 0.0)), False))
            if not self.of(name):
                del self.claims[name]
        return len(gone)

    def known(self, name):
        if name not in self.claims:
            raise Refused("coordination")

    def change(self, action, name, rows):
        if not rows:
            return
        was = {key: self.rows.get((name, key)) for key in rows}
        said = {key: (held(was[key]), held(row)) for key, row in rows.items()}
        # It is told of the change that takes room which is not there, and of none after it.
        forced = any(row.forced and row.status == "active" and said[key][1] > said[key][0] for key, row in rows.items())
        self.lines.append((action, name, said, forced))
        self.rows.update({(name, key): row for key, row in rows.items()})


def held(row):
    return row.amount if row and row.status == "active" else 0.0


def later(row, until):
    """Held until then, and never less long; kept as much longer as it is held longer."""
    more = max(0, until - row.expires)
    return replace(row, expires=row.expires + more, purge=row.purge + more)
