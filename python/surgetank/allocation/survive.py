"""`allocate`: how much headroom, in which Regions, lets every failure be survived at least cost?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _bridge, _core
from ..errors import invalid
from ..history import History
from .failures import FailureList, Failures
from .given import Eligible, read
from .given_history import PerQuota, read_history
from .result import Allocation


def allocate(
    load: ArrayLike | History,
    existing: ArrayLike | None = None,
    cost: PerQuota = 1.0,
    *,
    failures: Failures = "N-1",
    together: Iterable[Iterable[str]] = (),
    eligible: Eligible | None = None,
    share_cap: ArrayLike = 1.0,
    raisable: PerQuota = np.inf,
    reserved: PerQuota = 0.0,
    multiplier: PerQuota = 1.0,
    critical: ArrayLike = 1.0,
    unplaced: float = 0.0,
    alpha: float = 0.95,
    at: str = "history",
    regions: Sequence[str] | None = None,
    services: Sequence[str] | None = None,
    threads: int = 1,
) -> Allocation:
    """Find the cheapest headroom with which every failure is survived, and who then takes how much.

    Parameters
    ----------
    load : (R,), (S, R) or (T, S, R) numbers, or History
        What each Region carries and others must take when it fails, ≥ 0 in the quota's unit; one service, S services,
        or S services at T moments. At moments that are not observed in full (NaN) nothing is asked. A History brings
        loads, existing headroom, Regions and what is adjustable: its quotas are the services.
    existing : number, (R,), (S, R) or (T, S, R)
        Headroom that is free now, quota − usage, ≥ 0; inf: no quota. With the shape of a (T, S, R) load: at each
        moment.
    cost : number, (R,) or (S, R), default 1
        Price of one more unit of quota, ≥ 0. Beside a History this, ``raisable``, ``reserved`` and ``multiplier`` are
        one number, one for each series, or a mapping of patterns such as ``us-east-1/ec2/*`` to numbers; a quota
        without any price costs 1 a unit.
    failures : "N-1" (default), "N-2", "N-3", or a sequence of Regions and tuples of Regions
        Any k Regions at once, or exactly these sets.
    together : sequence of tuples of Regions, optional
        Regions of which none fails without the others; each tuple counts as one in N−k.
    eligible : (R, R) or (S, R, R) bool, or mapping of Region to Regions, optional
        May row send to column (latency, residency)? Default: everywhere. The diagonal is ignored; a Region that the
        mapping does not list may send everywhere.
    share_cap : number, (R, R) or (S, R, R), default 1
        The most of a failed Region's load that one other may take, a share.
    raisable : number or bool, (R,) or (S, R), default inf
        How far each quota may be raised; 0 or False: not adjustable.
    reserved : number, (R,) or (S, R), default 0
        Of the existing headroom, what is promised to others. Where more is promised than there is, the difference
        must be raised, whatever fails.
    multiplier : number, (R,) or (S, R), default 1
        The load that moves, relative to the load.
    critical : number or (S,), default 1
        The share of each service that must survive. The rest is shed first, at the source and at the target: it may
        live in the failover buffer.
    unplaced, alpha : shares, defaults 0 and .95
        Above 0: not everything must always be placed, but the mean unplaced share of the worst 1 − alpha of all
        failures and moments (CVaR) must be at most ``unplaced``.
    at : "history" (default) or "last"
        Beside a History: every moment of its last 30 days, or the last observed usage.
    regions, services : sequences of str, optional
        Names along the axes of arrays. Default "0", "1", …
    threads : int, default 1
        Services are shared out over so many threads; 0: all of the machine's. Same bits for any number.

    Returns
    -------
    Allocation
        ``headroom`` to add, ``cost``, ``transfers``, ``binding_failure``, ``prices``, ``status``, ``reason``,
        ``shortfall``, ``certificate``. Infeasible is an answer; `Allocation.require_met` raises for those who want it.

    Raises
    ------
    InvalidInput
        Malformed input: negative, NaN, wrong shapes, unknown or repeated Regions, no Region left.
    NumericalFailure
        No certificate within double precision; loads that differ by more than twelve decimals.

    Notes
    -----
    Method: transfers are eliminated (a failure's load can be placed exactly if no subset of it exceeds what the others
    can take of it: max flow, min cut; Gale, *A theorem on flows in networks*, 1957), the rest is solved by cutting
    planes (Kelley, 1960) in a dual simplex. Exact: every answer is checked against its dual bound. CVaR: Rockafellar
    and Uryasev, *Optimization of conditional value-at-risk*, 2000. Calls share no state; the GIL is released.

    Examples
    --------
    >>> import surgetank
    >>> best = surgetank.allocate([60.0, 30.0, 30.0], existing=[10.0, 10.0, 10.0], cost=[1.0, 1.0, 2.0])
    >>> best.status, best.cost, best.headroom.tolist()
    ('optimal', 50.0, [0.0, 30.0, 10.0])
    >>> best.binding_failure, best.transfers["0"][0].tolist()
    ('0', [0.0, 40.0, 20.0])
    """
    left_out: tuple[str, ...] = ()
    if isinstance(load, History):
        if existing is not None or regions is not None or services is not None:
            raise invalid("existing", "regions and services are the History's own; leave them out", "History")
        given, left_out = read_history(
            load, at=at, cost=cost, raisable=raisable, reserved=reserved, multiplier=multiplier, eligible=eligible,
            share_cap=share_cap, critical=critical,
        )  # fmt: skip
    else:
        if existing is None:
            raise invalid("existing", "must be given beside an array of load", None)
        per_unit: dict[str, Any] = {
            "cost": cost, "raisable": raisable, "reserved": reserved, "multiplier": multiplier
        }  # fmt: skip
        for name, value in per_unit.items():
            if isinstance(value, Mapping):
                raise invalid(name, "may be a mapping of patterns only beside a History", value)
        given = read(
            load, existing, **per_unit, eligible=eligible, share_cap=share_cap, critical=critical, regions=regions,
            services=services,
        )  # fmt: skip
    chosen = FailureList.of(failures, given.regions, together)
    options = _core.AllocationOptions()
    options.unplaced = _bridge.fraction(unplaced, "unplaced")
    options.alpha = _bridge.fraction(alpha, "alpha")
    options.threads = _bridge.threads(threads)
    sets = [] if chosen.any else [list(members) for members in chosen.sets]
    raw = _core.allocate(*given.arrays, chosen.any, sets, options)
    return Allocation.of(raw, given, chosen, left_out=left_out, unplaced=options.unplaced, alpha=options.alpha)
