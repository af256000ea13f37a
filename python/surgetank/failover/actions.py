"""The actions of a failover. Each is one transaction, and a dry run unless told to act: then it is done, and undone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from .. import _bridge
from .._bridge import Duration, Instant
from ..allocation import Proportional
from ..errors import invalid
from ..history import QuotaKey
from ..history.reservations import NORMAL, amounts_of, clock_s, named, said
from ..history.samples import instant
from .acting import Acting
from .life import Failback, Failover
from .move import Move

if TYPE_CHECKING:
    from ..history.anystore import AnyStore

MOST_REGIONS = 50


def prepare_failover(
    store: AnyStore,
    failed: str | Iterable[str],
    *,
    name: str | None = None,
    rule: Proportional | str | None = None,
    eligible: Mapping[str, Iterable[str]] | None = None,
    critical: float = 1.0,
    failback: Failback | None = None,
    act: bool = False,
    by: str = "",
    why: str = "",
    stale_after_s: Duration | None = None,
    now: Instant | None = None,
) -> Move:
    """Reserve room for what Regions use now, before they are given up; and say what to pre-warm.

    Parameters
    ----------
    store : Store or DynamoStore
    failed : Region or Regions
        They fail together.
    name : str, optional
        What the failover is called. Default: its Regions.
    rule : Proportional or a name of `NAMED_SHARING`, optional
        How the load is shared out. Default ``Proportional()``: at most .8 of what is free is taken.
    eligible : mapping of Region to Regions, optional
        Where each may send its load.
    critical : share, default 1
        Of every load, what must be placed; in an emergency the rest is shed first.
    failback : Failback, optional
        How load goes back later. Default: 2 h stable, then 10, 50 and 100 %, held for 15 and 30 min.
    act : bool, default False
        Do it. Without, everything is computed as it would be, and nothing is changed.
    by, why : str, optional
        Who, and why: kept with the state.
    stale_after_s : float (seconds) or timedelta, optional
        Usage older than that is not known. Default: older than an hour and than twelve of its steps.
    now : instant, optional
        Default: the clock.

    Returns
    -------
    Move
        ``rows``, ``prewarm``, ``unplaced``, ``unknown``. What finds no room is an answer; the rest is reserved.

    Raises
    ------
    InvalidInput
        Names the argument, the rule and the value; also where the failover is not in a state that leads there.
    StoreError
        The store cannot be read or written: nothing was changed.

    Examples
    --------
    >>> import surgetank, tempfile
    >>> usage = surgetank.History.from_array(
    ...     [[60.0, 30.0]], start="2026-01-01T00:00Z", step_s=300, regions=["us-east-1", "us-west-2"], quota=100.0
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with surgetank.Store(f"{folder}/fleet.db", create=True) as store:
    ...         added = store.import_quotas(usage.quotas), store.add_samples(usage.samples())
    ...         move = surgetank.prepare_failover(store, "us-east-1", now="2026-01-01T00:10Z")
    >>> move.granted, move.done, list(move.prewarm.values()), move.unplaced
    (True, False, [56.0], {'-': 4.0})
    """
    gone = _regions(failed)
    one = Failover(
        name=named("+".join(gone) if name is None else name, "name"),
        failed=gone,
        rule=_rule(rule),
        critical=_bridge.fraction(critical, "critical"),
        failback=_failback(failback),
        eligible=_eligible(eligible),
    )
    acting = _acting("prepare", store, act, by, why, now, stale_after_s)
    return acting.run(one.name, lambda one: acting.place(one, seen=False), new=one)


def activate_failover(
    store: AnyStore,
    name: str,
    *,
    emergency: bool = False,
    failed: str | Iterable[str] | None = None,
    rule: Proportional | str | None = None,
    eligible: Mapping[str, Iterable[str]] | None = None,
    critical: float | None = None,
    failback: Failback | None = None,
    landed: Mapping[QuotaKey, float] | None = None,
    act: bool = False,
    by: str = "",
    why: str = "",
    stale_after_s: Duration | None = None,
    now: Instant | None = None,
) -> Move:
    """Send the load over, into room that is held: what was prepared, or more where more is used by now.

    Parameters
    ----------
    store : Store or DynamoStore
    name : str
        The failover; in an emergency also one that nobody prepared, whose Regions are ``failed`` or else the name.
    emergency : bool, default False
        Also from normal, and from active, to take more. What is critical may take all that is free, beyond what the
        rule gives away; what finds no room is shed, the non-critical part first. Needs ``why``.
    failed : Region or Regions, optional
        What an emergency gives up; of a failover that was prepared, the same as then.
    rule, eligible, critical, failback : optional
        As for `prepare_failover`; what is stated replaces what was prepared.
    landed : mapping of QuotaKey to number, optional
        What counts in usage already, as capacity does that was pre-warmed. Default: nothing, before it is active.
    act, by, why, stale_after_s, now
        As for `prepare_failover`.

    Returns
    -------
    Move
        With ``shed``: what to shed of the load that moves, and of what runs where it lands.

    Raises
    ------
    InvalidInput
        Names the argument, the rule and the value; also where the failover is not in a state that leads there.
    """
    if emergency and not why.strip():
        raise invalid("why", "must say what the emergency is", why)
    acting = _acting("activate", store, act, by, why, now, stale_after_s)
    gone = None if failed is None else _regions(failed)
    new = None
    if emergency:
        new = Failover(name=named(name, "name"), failed=gone or _regions(name.split("+")))
    chosen = None if rule is None else _rule(rule)
    share = None if critical is None else _bridge.fraction(critical, "critical")
    back, to, amounts = None if failback is None else _failback(failback), _eligible(eligible), _landed(landed)

    def activate(one: Failover) -> Move:
        if one.state == NORMAL and not emergency:
            raise invalid("failover", f"{name} is normal: prepare it first, or activate it as an emergency", "activate")
        if one.state == "active" and not emergency:
            rule = f"{name} is active already, since {instant(one.since_s)}; replan shares out again"
            raise invalid("failover", rule, "activate")
        if gone is not None and set(gone) != set(one.failed):
            raise invalid("failed", f"must be what {name} gives up, {', '.join(one.failed)}", list(gone))
        urgent = emergency or (one.emergency and one.state != NORMAL)
        one = replace(
            one,
            emergency=urgent,
            rule=chosen or one.rule,
            critical=one.critical if share is None else share,
            failback=back or one.failback,
            eligible=one.eligible if to is None else to,
        )
        return acting.place(one, seen=one.state in ("active", "recovering"), stated=amounts)

    return acting.run(name, activate, new)


def replan_failover(
    store: AnyStore,
    name: str,
    *,
    landed: Mapping[QuotaKey, float] | None = None,
    act: bool = False,
    by: str = "",
    why: str = "",
    stale_after_s: Duration | None = None,
    now: Instant | None = None,
) -> Move:
    """Share out again what has not landed yet, by what is really used now.

    Parameters
    ----------
    store, name, act, by, why, stale_after_s, now
        As for `prepare_failover`.
    landed : mapping of QuotaKey to number, optional
        What of the load counts in the usage of a quota. Default: nothing while preparing; once active, what usage has
        grown by since then, at most what was assigned there, and in all at most the share that the failed Regions have
        lost. Growth of its own counts as landed within that.

    Returns
    -------
    Move
        While preparing, the load is what the failed Regions use now. Once active it stays what it was, less what has
        landed: that is usage, and no room is held for it any more.
    """
    acting = _acting("replan", store, act, by, why, now, stale_after_s)
    amounts = _landed(landed)
    return acting.run(name, lambda one: acting.place(one, seen=one.state == "active", stated=amounts))


def recover_failover(
    store: AnyStore,
    name: str,
    *,
    early: bool = False,
    act: bool = False,
    by: str = "",
    why: str = "",
    now: Instant | None = None,
) -> Move:
    """Take the next step of the failback, and release that share of what is held; after the last one all is normal.

    Parameters
    ----------
    store, name, act, by, why, now
        As for `prepare_failover`.
    early : bool, default False
        Before it is due. Needs ``why``.

    Returns
    -------
    Move
        Not granted, unless ``early``, before the step is due, and where the failed Regions have no room for what is to
        be back. Whether all is stable is for you to judge.
    """
    if early and not why.strip():
        raise invalid("why", "must say why it cannot wait", why)
    acting = _acting("recover", store, act, by, why, now)
    return acting.run(name, lambda one: acting.step_back(one, early))


def cancel_failover(
    store: AnyStore, name: str, *, act: bool = False, by: str = "", why: str = "", now: Instant | None = None
) -> Move:
    """Give up what was prepared, and all the room that is held for it."""
    acting = _acting("cancel", store, act, by, why, now)

    def cancel(one: Failover) -> Move:
        after = replace(one, state=one.after("cancel"), since_s=acting.now_s, landings=(), loads={})
        return acting.hold(one, after, {})

    return acting.run(name, cancel)


def _acting(
    action: str,
    store: AnyStore,
    act: bool,
    by: str,
    why: str,
    now: Instant | None,
    stale_after_s: Duration | None = None,
) -> Acting:
    from ..history.anystore import AnyStore

    if not isinstance(store, AnyStore):
        raise invalid("store", "must be a Store", type(store).__name__)
    return Acting(action=action, store=store, act=bool(act), by=said(by, "by"), why=said(why, "why"),
                  now_s=clock_s(now), stale_after_s=stale_after_s)  # fmt: skip


def _regions(failed: str | Iterable[str]) -> tuple[str, ...]:
    gone = tuple(dict.fromkeys(_bridge.names(failed, "failed")))
    if not 0 < len(gone) <= MOST_REGIONS:
        raise invalid("failed", f"must name 1 to {MOST_REGIONS} Regions", list(gone[:5]))
    return gone


def _rule(rule: Proportional | str | None) -> Proportional:
    found = Proportional() if rule is None else Proportional.named(rule) if isinstance(rule, str) else rule
    if not isinstance(found, Proportional):
        raise invalid("rule", "must be Proportional(...)", rule)
    return found


def _failback(failback: Failback | None) -> Failback:
    found = Failback() if failback is None else failback
    if not isinstance(found, Failback):
        raise invalid("failback", "must be Failback(...)", failback)
    return found


def _eligible(given: Mapping[str, Iterable[str]] | None) -> dict[str, tuple[str, ...]] | None:
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise invalid("eligible", "must map Regions to Regions", given)
    return {_bridge.name(region, "eligible"): _bridge.names(to, "eligible") for region, to in given.items()}


def _landed(given: Mapping[QuotaKey, float] | None) -> dict[QuotaKey, float]:
    return {} if not given else amounts_of(given, argument="landed", above=False)
