"""What moves, and how much of it has landed: read off usage, as far as usage tells."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from ..errors import invalid
from ..history import QuotaKey
from ..history.reservations import Amounts
from .life import LEAST_FRAC, Failover, Landing, Load
from .placing import Scene, service_of

At = tuple[str, QuotaKey]  # service and quota


def loads_of(scene: Scene, one: Failover, action: str, seen: bool) -> dict[str, Load]:
    """Service → what moves, where that is known.

    Until it moves it is what the failed Regions use now, and when it begins to, no less than what was prepared: they
    may be dark already. Once it moves it stays what it was.
    """
    now = {}
    for service in scene.services:
        used = scene.used_by(one.failed, service)
        if not math.isnan(used):
            now[service] = Load(one.rule.multiplier * used, used)
    if seen:
        return now | dict(one.loads)
    if action == "activate":
        return {s: max(now.get(s, Load()), one.loads.get(s, Load())) for s in (now | dict(one.loads))}
    return dict(one.loads) | now


def landings_of(
    scene: Scene, one: Failover, loads: Mapping[str, Load], closed: Mapping[str, str], stated: Amounts, seen: bool
) -> dict[At, Landing]:
    """Where what has landed.

    Nothing, before it moves, but what is stated. Then what usage has grown by since, at most what was assigned there,
    and in all at most the share that the failed Regions have lost. In a Region that another failover gives up it is
    what it was before.
    """
    _check(scene, one, loads, stated)
    found: dict[At, Landing] = {}
    fixed: set[At] = set()
    for landing in one.landings if seen else ():
        at, used = (landing.service, landing.key), scene.used(landing.key)
        if landing.key.region in closed:
            fixed.add(at)
        elif not math.isnan(used):
            landing = replace(landing, landed=min(max(0.0, used - landing.base), landing.assigned))
        found[at] = landing
    for key, amount in stated.items():
        at, used = (service_of(key), key), scene.used(key)
        known = found.get(at) or Landing(service=at[0], key=key, base=max(0.0, used - amount), assigned=amount)
        found[at] = replace(known, landed=amount, assigned=max(known.assigned, amount))
        fixed.add(at)
    for service, load in loads.items():
        own = [at for at in found if at[0] == service]
        sure = math.fsum(found[at].landed for at in own if at in fixed)
        rest = math.fsum(found[at].landed for at in own if at not in fixed)
        most = max(0.0, _lost(scene, one, service, load) - sure)
        if rest > most:
            found |= {at: replace(found[at], landed=found[at].landed * most / rest) for at in own if at not in fixed}
    return found


def _lost(scene: Scene, one: Failover, service: str, load: Load) -> float:
    """What of a load has left the failed Regions; all of it where nobody sees them."""
    used = scene.used_by(one.failed, service)
    if math.isnan(used) or not load.source > 0:
        return load.need
    return load.need * min(1.0, max(0.0, 1 - used / load.source))


def _check(scene: Scene, one: Failover, loads: Mapping[str, Load], stated: Amounts) -> None:
    for key in stated:
        service = service_of(key)
        if key.region in one.failed or service not in loads or key.region not in scene.services.get(service, ()):
            raise invalid("landed", f"must name quotas on which load of {one.name} can land", str(key))
    for service, load in loads.items():
        amounts = [amount for key, amount in stated.items() if service_of(key) == service]
        if math.fsum(amounts) > load.need * (1 + LEAST_FRAC):
            raise invalid("landed", f"of {service} must be at most what moves, {load.need:g}", math.fsum(amounts))
