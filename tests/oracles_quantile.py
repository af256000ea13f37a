"""The slow, obvious twin of the quantile policy: window by window, moment by moment, with the standard library alone.

Nothing here shares a method with the core: maxima are taken window by window and sorted, levels are found by bisection,
growth from every pair of days, and whether an event fits is looked up at every moment for every quota.
"""

import math

from oracles_tails import DAY_S, growth_of, steps_of, tail_of

NAN, INF = math.nan, math.inf


def quantile_headroom(
    usage, quota, step_s, regions, scenarios=(), *, group=None, is_global=None, adjustable=None, cost=0.0,
    cost_cap=INF, warning=0.70, critical=0.85, age_s=0.0, stale_after_s=None, history_s=INF, risk=1e-3,
    risk_normal=None, lead_time_s=3 * DAY_S, review_s=DAY_S, lead_time_p95_s=5 * DAY_S, normal_duration_s=DAY_S,
    growth=None, overlap_frac=0.0, tail="fitted", confidence=0.95,
):  # fmt: skip
    """All quotas of a world. ``usage``: a list for each quota, NaN where not observed; ``regions``: their Regions.

    ``group``: the same number is the same quota in different Regions. Returns one dictionary for each quota, with one
    more for each event under "events" (None where it does not reach the quota), and one for each event's joint fit.
    """
    many = range(len(usage))
    group = [0] * len(usage) if group is None else group
    is_global = [False] * len(usage) if is_global is None else is_global
    options = {"step_s": step_s, "risk": risk, "confidence": confidence, "fitted": tail == "fitted"}
    ahead = {"horizon_s": lead_time_s + review_s, "p95_s": lead_time_p95_s, "fixed": growth}

    def last(x, seconds):
        return [u for j, u in enumerate(x) if age_s + step_s * (len(x) - 1 - j) < seconds]

    past = [last(x, history_s) for x in usage]
    out = [_looked_at(past[i], last(usage[i], DAY_S), age_s, step_s, stale_after_s) for i in many]
    events = dict.fromkeys(s.event for s in scenarios)
    events = {name: [s for s in scenarios if s.event == name] for name in events}
    demands, known = {}, [one["unknown"] == "none" for one in out]
    for i in many:
        if not known[i]:
            continue
        normal = options | {"duration_s": normal_duration_s, "risk": risk_normal or risk}
        found = [_event_need(past[i], quota[i], normal, ahead)]
        for name, together in events.items():
            brought = _brought(i, together, regions, group, is_global, overlap_frac)
            sources = [(j, w) for j, w in brought if j != i]
            lost = not all(known[j] for j, _ in sources)
            out[i]["source_unknown"] |= lost
            if lost or not brought:
                found.append(None)
                out[i]["dark"] += [len(found) - 1] * lost
                continue
            own = max(0.0, 1 + math.fsum(w for j, w in brought if j == i))
            demand = [own * u for u in past[i]]
            for j, w in sources:
                demand = [d + w * u for d, u in zip(demand, past[j], strict=True)]
            demands[i, name] = demand
            length_s = max(s.duration_s for s in together)
            found.append(_event_need(demand, quota[i], options | {"duration_s": length_s}, ahead))
            out[i]["source_unknown"] |= found[-1] is None
            out[i]["dark"] += [len(found) - 1] * (found[-1] is None)
        out[i]["events"] = found
        kinds = [_kind(i, together, regions) for together in events.values()]
        names = [f"{kind}: {name}" for kind, name in zip(kinds, events, strict=True)]
        _decide(out[i], quota[i], kinds, last(usage[i], DAY_S), (warning, critical))
        out[i]["attribution"] = ["base: nothing fails", *names][out[i]["event"]]
        free = True if adjustable is None else adjustable[i]
        _reserve(out[i], quota[i], cost, cost_cap, free)
    joint = [
        _joint(together, [demands.get((i, name), past[i]) for i in many], out, e, quota, regions, is_global, options)
        for e, (name, together) in enumerate(events.items(), start=1)
    ]
    return out, joint


FIGURES = (
    "usage", "day_peak", "age_s", "base", "failover", "spike", "need", "needed", "needed_low", "needed_high", "growth",
    "n_eff", "probability_enough", "probability_enough_low", "probability_enough_high", "ask_in_s", "required",
    "available", "utilization", "day_utilization", "shortfall",
)  # fmt: skip


def _looked_at(past, day, age_s, step_s, stale_after_s):
    out = dict.fromkeys(FIGURES, NAN) | {"status": "UNKNOWN", "unknown": "no_usage", "limit": "none", "event": None}
    out |= {"attribution": "", "events": [], "source_unknown": False, "dark": []}
    seen = [j for j, u in enumerate(past) if u == u]
    if not seen:
        return out
    out["usage"] = past[seen[-1]]
    out["age_s"] = age_s + step_s * (len(past) - 1 - seen[-1])
    out["unknown"] = "none"
    if out["age_s"] > (max(3600.0, 12 * step_s) if stale_after_s is None else stale_after_s):
        return out | {"unknown": "stale"}
    return out | {"day_peak": max([out["usage"], *(u for u in day if u == u)])}


def _brought(i, together, regions, group, is_global, overlap_frac):
    """What an event brings to quota i: (quota, weight) of every source; a surge in place is the quota itself."""
    brought = []
    for s in together:
        for source in s.sources:
            for j in range(len(regions)):
                if is_global[i] or is_global[j] or regions[j] != source or group[j] != group[i]:
                    continue
                if s.in_place and j == i:
                    brought.append((i, s.multiplier - 1))
                elif not s.in_place and regions[i] in s.targets:
                    brought.append((j, s.targets[regions[i]] * s.multiplier * (1 + overlap_frac)))
    return brought


def _kind(i, together, regions):
    return "failover" if any(not s.in_place and regions[i] in s.targets for s in together) else "spike"


def _event_need(demand, quota, options, ahead):
    found = tail_of(demand, **options)
    if found is None:
        return None
    grown = growth_of(demand, options["step_s"], ahead["horizon_s"], ahead["fixed"])
    found |= {"growth": grown["factor"], "slope_per_day": grown["slope_per_day"], "days": grown["days"]}
    found["need"] = found["level"] * grown["factor"]
    at_quota = dict.fromkeys(("risk", "risk_low", "risk_high", "ask_in_s"), NAN)
    interval = options["confidence"] > 0
    low, high = found.pop("low"), found.pop("high")
    found["low"] = max(0.0, low * grown["low"]) if interval else NAN
    found["high"] = high * grown["factor"] if interval else NAN
    risk_of = found.pop("risk_of")
    if quota == quota:
        at_quota["risk"], low, high = risk_of(_held(quota, grown["factor"]))
        if interval:
            at_quota["risk_low"], at_quota["risk_high"] = min(low, risk_of(_held(quota, grown["low"]))[1]), high
        per_s = grown["per_s"]
        if found["level"] > quota:
            at_quota["ask_in_s"] = -INF
        elif per_s == 0 or found["level"] == 0:
            at_quota["ask_in_s"] = INF
        else:  # level·(1 + per_s·(t + p95)) = quota
            at_quota["ask_in_s"] = (quota / found["level"] - 1) / per_s - ahead["p95_s"]
    return found | at_quota


def _decide(out, quota, kinds, day, thresholds):
    events = [(e, need) for e, need in enumerate(out["events"]) if need]
    e, need = max(events, key=lambda pair: (pair[1]["need"], -pair[0]))
    U = out["usage"]
    out |= {"event": e, "need": need["need"], "growth": need["growth"], "n_eff": need["n_eff"]}
    out["base"] = out["events"][0]["need"]
    for kind in ("failover", "spike"):
        out[kind] = max((n["need"] for e, n in events[1:] if kinds[e - 1] == kind), default=NAN)
    out["needed"] = max(0.0, need["need"] - U)
    for side in ("low", "high"):
        ends = [n[side] for _, n in events]
        out[f"needed_{side}"] = max(0.0, max(ends) - U) if ends[0] == ends[0] else NAN
    if math.isnan(quota):
        out["unknown"] = "no_quota"
        return
    out["probability_enough"] = 1 - max(n["risk"] for _, n in events)
    for side, other in (("low", "high"), ("high", "low")):
        ends = [n[f"risk_{other}"] for _, n in events]
        out[f"probability_enough_{side}"] = 1 - max(ends) if ends[0] == ends[0] else NAN
    out["ask_in_s"] = min(n["ask_in_s"] for _, n in events)
    A = out["available"] = quota - U
    out["utilization"] = _share(out["needed"], A)
    seen = [_share(max(0.0, need["need"] - u), quota - u) for u in day if u == u]
    worst = out["day_utilization"] = max([out["utilization"], *seen])
    out["shortfall"] = max(0.0, out["needed"] - A)
    warning, critical = thresholds
    status = "CRITICAL" if out["shortfall"] > 0 or worst >= critical else "WARNING" if worst >= warning else "OK"
    if out["source_unknown"]:
        out["unknown"] = "no_source"
        status = "CRITICAL" if status == "CRITICAL" else "UNKNOWN"
        for name in ("probability_enough", "probability_enough_low", "probability_enough_high", "ask_in_s"):
            out[name] = NAN
    out["status"] = status


def _share(needed, available):
    return needed / available if available > 0 else INF


def _reserve(out, quota, cost, cost_cap, adjustable):
    if math.isnan(quota):
        return
    missing = out["needed"] - out["available"]
    out["required"] = out["needed"]
    if missing > 0 and cost > 0 and cost * missing > cost_cap and cost_cap / cost < out["needed"]:
        out["required"], out["limit"] = cost_cap / cost, "cost_cap"
    if not adjustable and max(0.0, out["available"]) < out["required"]:
        out["required"], out["limit"] = max(0.0, out["available"]), "not_adjustable"


def _held(quota, growth):
    """The demand before growth that a quota holds, rounding on the way included."""
    return quota / growth * (1 + 1e-12)


def _joint(together, demands, out, e, quota, regions, is_global, options):
    """At every moment, does every covered quota fit over the window that begins there?"""
    length_s = max(s.duration_s for s in together)
    length = steps_of(length_s, options["step_s"])
    failed = {r for s in together if not s.in_place for r in s.sources}
    covered = []
    for i, one in enumerate(out):
        known = one["unknown"] in ("none", "no_source") and e not in one["dark"]
        if not known or (regions[i] in failed and not is_global[i]):
            continue
        need, most = one["events"][e], _held(quota[i], one["events"][0]["growth"])
        if need:
            covered.append((demands[i], _held(quota[i], need["growth"]), need["risk"]))
        else:  # the event brings it nothing: on its own it must still fit, for as long as the event lasts
            own = tail_of(demands[i], **(options | {"duration_s": length_s, "confidence": 0}))
            covered.append((demands[i], most, own["risk_of"](most)[0]))
    moments = fits = 0
    for t in range(len(demands[0]) - length + 1 if covered else 0):
        windows = [([u for u in demand[t : t + length] if u == u], most) for demand, most, _ in covered]
        if any(2 * len(seen) < length for seen, _ in windows):
            continue
        moments += 1
        fits += all(max(seen) <= most for seen, most in windows)
    bound = min(1.0, math.fsum(risk for *_, risk in covered))
    return {"moments": moments, "fits": fits, "quotas": len(covered), "risk_bound": bound}
