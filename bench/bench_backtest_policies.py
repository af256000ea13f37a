"""Families of policies on real series, at the same held-out risk: idle headroom, and how far above the clairvoyant's.

Wikipedia's requests (the load doubles in place) and 24 server series (N−1 over four servers), from ../shared/data.
`--write` puts the tables into README.md. How it is judged: `_policies.py`.
"""

import numpy as np

from _compare import one_thread
from _page import publish, table
from _policies import CLASSIC, DAY_S, DEMAND, FORECAST, PEAK, PERCENTILE, RISKS, SHARED, Case, fleet, wikipedia

FAMILIES = (CLASSIC, PEAK, DEMAND, PERCENTILE, FORECAST)
BY_HOUR = (CLASSIC, PEAK, DEMAND, FORECAST)
HOURS = (0, 4, 8, 12, 16, 20)  # that the decision is made later
LOWERS = {"asking down as well (lower=1)": 1.0, "raise-only": None}
H = 3600.0
# Data, and the lead times.
PLACES = ((wikipedia, (3 * DAY_S, DAY_S)), (fleet, (DAY_S, 6 * H)))
WINDOWS_S = (H, DAY_S)
# Reduction by the forecast that was aimed at: (of what, against whom) → at least.
GOALS = {("excess", CLASSIC): 0.40, ("excess", PEAK): 0.15, ("raw", CLASSIC): 0.10, ("raw", PEAK): 0.0}
CONFIDENCE = 0.95


def span(seconds):
    return f"{seconds / DAY_S:.0f} d" if seconds % DAY_S == 0 and seconds > DAY_S else f"{seconds / H:.0f} h"


def reductions(idle, clairvoyant):
    """By what and against whom, of idle headroom by family."""
    excess = {name: values - clairvoyant for name, values in idle.items()}
    found = {}
    for what, other in GOALS:
        by = excess if what == "excess" else idle
        with np.errstate(invalid="ignore", divide="ignore"):
            found[what, other] = 1 - by[FORECAST] / by[other]
    return found


def judge(case):
    """By lower and risk: idle headroom by family, the clairvoyant's, and each reduction with its interval."""
    curves, found = case.curves(tuple(LOWERS.values()), FAMILIES), {}
    times = case.draws(len(case.clairvoyant.top))
    for risk in RISKS:
        best, best_drawn = case.clairvoyant.idle_at(risk)[0], case.clairvoyant.idle_at(risk, times)
        for lower in LOWERS.values():
            of = {name: curves[name, lower, risk] for name in FAMILIES if (name, lower, risk) in curves}
            idle = {name: float(curve.idle_at(risk)[0]) for name, curve in of.items()}
            assert all(best <= value for value in idle.values()), (
                case,
                risk,
                idle,
            )  # nobody beats who knows the future
            drawn = reductions({name: curve.idle_at(risk, times) for name, curve in of.items()}, best_drawn)
            tails = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
            limits = {key: tuple(np.nanquantile(values, tails)) for key, values in drawn.items()}
            found[lower, risk] = idle, float(best), reductions(idle, best), limits
    return found


def tuned(case, name, lower, risk):
    options = case.tuned[name, lower, risk]
    words = [f"{options[0]} d"] if options else []
    words += [f"P{100 * options[1]:g}"] if name == PERCENTILE else []
    return f" ({', '.join(words)})" if words else ""


def percents(value, limits):
    low, high = limits
    return f"{100 * value:.0f} % ({100 * low:.0f} to {100 * high:.0f})"


def places(case, risk):
    return [case.data.name, span(case.window_s), span(case.lead_s), f"{risk:g}"]


def figures(cases, lower):
    """Raw idle headroom and excess."""
    rows = []
    for case, found in cases:
        for risk in RISKS:
            idle, best, *_ = found[lower, risk]
            cells = [
                f"{idle[name]:.3f} / {idle[name] - best:.3f}{tuned(case, name, lower, risk)}" if name in idle else "–"
                for name in FAMILIES
            ]
            rows.append([*places(case, risk), f"{best:.3f}", *cells])
    return table(["data", "failover", "lead time", "risk", "clairvoyant", *FAMILIES], rows)


def reduced(cases, lower):
    """By how much the forecast needs less, with intervals."""
    rows = []
    for case, found in cases:
        for risk in RISKS:
            _, _, less, limits = found[lower, risk]
            rows.append([*places(case, risk), *(percents(less[key], limits[key]) for key in GOALS)])
    words = {"excess": "excess", "raw": "raw idle"}
    head = [f"{words[what]} below {other}" for what, other in GOALS]
    return table(["data", "failover", "lead time", "risk", *head], rows)


def at_hours(case, lower):
    """Idle headroom and its excess by risk and family, (hours,) each, where the day's decision is made later."""
    found = {}
    for hours in HOURS:
        later = Case(case.data.later(hours), case.window_s, case.lead_s)
        for (name, _, risk), curve in later.curves((lower,), BY_HOUR).items():
            idle = float(curve.idle_at(risk)[0])
            found.setdefault((risk, name), []).append((idle, idle - float(later.clairvoyant.idle_at(risk)[0])))
    return {key: np.array(values).T for key, values in found.items()}


def by_hour(cases, lower):
    """Means over the hours of the decision, and in brackets the excess at the best and the worst of them."""
    rows = []
    for case, _ in cases:
        found = at_hours(case, lower)
        for risk in RISKS:
            of = {name: found[risk, name] for name in BY_HOUR if (risk, name) in found}
            cells = [
                f"{idle.mean():.3f} / {excess.mean():.3f} ({excess.min():.3f} to {excess.max():.3f})"
                for idle, excess in of.values()
            ]
            cells[2:2] = ["–"] * (len(BY_HOUR) - len(of))
            less = [1 - of[FORECAST][1].mean() / of[other][1].mean() for other in (CLASSIC, PEAK)]
            rows.append([*places(case, risk), *cells, *(f"{100 * value:.0f} %" for value in less)])
        print(f"{case.data.name}, {span(case.window_s)}, {span(case.lead_s)}, by hour", flush=True)
    head = ["data", "failover", "lead time", "risk", *BY_HOUR]
    return table([*head, f"excess below {CLASSIC}", f"below {PEAK}"], rows)


def goals(cases, lower):
    """For each goal and data set: the geometric mean, and how often it was met."""
    lines = []
    for (what, other), least in GOALS.items():
        parts = []
        for name in dict.fromkeys(case.data.name for case, _ in cases):
            less = [f[lower, risk][2][what, other] for case, f in cases if case.data.name == name for risk in RISKS]
            mean = 1 - np.exp(np.mean(np.log1p(-np.array(less))))
            met = sum(value >= least for value in less)
            parts.append(f"{name} {100 * mean:.0f} %, met in {met} of {len(less)}")
        aim = f"at least {100 * least:.0f} % below" if least else "not above"
        lines.append(f"- {'Excess' if what == 'excess' else 'Raw idle'} {aim} {other}: {'; '.join(parts)}.")
    return "\n".join(lines)


def main():
    one_thread()
    if not SHARED.is_dir():
        print("no real data here: ../shared/data is not beside the repository")
        return
    cases = []
    for read, leads in PLACES:
        data = read()
        for lead_s in leads:
            for window_s in WINDOWS_S:
                case = Case(data, window_s, lead_s)
                cases.append((case, judge(case)))
                print(f"{data.name}, {span(window_s)}, {span(lead_s)} judged", flush=True)
    parts = []
    for words, lower in LOWERS.items():
        parts += [f"Policies {words}. Raw idle headroom / excess, in multiples of mean usage, held out:"]
        parts += [figures(cases, lower), "What the forecast saves, with 95 % intervals:", reduced(cases, lower)]
        parts += [f"Mean of the cells (geometric), and aims, {words}:", goals(cases, lower)]
    head = (
        f"At {len(HOURS)} hours of the day, asking down as well: means, and the excess at the best and the worst hour:"
    )
    parts += [head, by_hour(cases, 1.0)]
    publish("backtest_policies", "\n\n".join(parts))


if __name__ == "__main__":
    main()
