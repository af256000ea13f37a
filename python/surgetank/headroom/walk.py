"""One number on foot: from a quota's samples to its needed headroom, step by step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .._bridge import Floats
from .._table import at_least, percent, probability, quantity, render_columns, span
from . import wording
from .events import Event, events_of

if TYPE_CHECKING:
    from ..history import History
    from .quantile import QuantilePolicy
    from .result import Headroom


def walk(policy: QuantilePolicy, headroom: Headroom, history: History, row: int) -> list[str]:
    """Give the steps that lead to the needed headroom of one quota; each is a paragraph."""
    return _Walk(policy, headroom, history, row).steps()


class _Walk:
    def __init__(self, policy: QuantilePolicy, headroom: Headroom, history: History, row: int) -> None:
        self.first, end = headroom.looked_at
        self.history, self.usage = history, history.usage[self.first : end]
        self.policy, self.headroom, self.row = policy, headroom, row
        self.key = history.keys[row]
        self.column = {key: i for i, key in enumerate(history.keys)}
        self.events: tuple[Event | None, ...] = (None, *events_of(headroom.scenarios))
        self.windows = [span(policy._duration_s(e, self.events[1:])) for e in range(len(self.events))]  # type: ignore[arg-type]

    def steps(self) -> list[str]:
        h, row = self.headroom, self.row
        if math.isnan(h.needed[row]):
            return [self.samples(), h.reason[row]]
        binds = h.events.index(h.event[row])
        at = {name: float(values[row, binds]) for name, values in h.event_needs.items()}
        steps = [self.samples(), self.table(binds), self.demand(binds, at), self.peaks(binds, at), self.growth(at)]
        steps.append(self.need(at))
        if h.unknown[row] == "none":
            steps += [self.status(), self.ask()]
        else:
            steps.append(f"Status: {h.status[row]}. {h.reason[row]}")
        return steps

    def time(self, step: int) -> np.datetime64:
        return self.history.time(self.first + step)

    def samples(self) -> str:
        usage = self.usage[:, self.row]
        seen = np.isfinite(usage)
        head = f"Samples: {len(usage):,} steps of {span(self.history.step_s)} from {self.time(0)}Z"
        if not seen.any():
            return f"{head}, none observed."
        last = int(np.flatnonzero(seen)[-1])
        low, high = quantity(float(np.nanmin(usage))), quantity(float(np.nanmax(usage)))
        missing = f"{int((~seen).sum()):,} of them missing" if not seen.all() else "none missing"
        now = f"the last, {quantity(float(usage[last]))}, at {self.time(last)}Z"
        return f"{head}, {missing}: {low} to {high}; {now}."

    def carried(self, e: int) -> tuple[Floats, str]:
        """What the quota carries in event ``e`` at every step, and how that is put together."""
        usage, event = self.usage, self.events[e]
        if event is None:
            return usage[:, self.row], f"u({self.key.region})"
        own, parts, total = 1.0, [], np.zeros(len(usage))
        for source, target, weight in event.flows(self.policy.overlap_frac):
            other = self.column.get(self.key._replace(region=source))
            if target != self.key.region:
                continue
            if source == target:
                own += weight
            elif other is not None:
                total = total + weight * usage[:, other]
                parts.append(f"u({source})" if weight == 1 else f"{quantity(weight)}·u({source})")
        own = max(0.0, own)
        first = f"u({self.key.region})" if own == 1 else f"{quantity(own)}·u({self.key.region})"
        return own * usage[:, self.row] + total, " + ".join([first, *parts])

    def table(self, binds: int) -> str:
        needs = {name: values[self.row] for name, values in self.headroom.event_needs.items()}
        reached = np.flatnonzero(~np.isnan(needs["need"]))
        cells: list[tuple[str, list[str], bool]] = [
            ("", ["→" if e == binds else "" for e in reached], False),
            ("Event", [self.headroom.events[e] for e in reached], False),
            ("Demand at each moment t", [self.carried(int(e))[1] for e in reached], False),
            ("Lasts", [self.windows[e] for e in reached], True),
        ]
        for name, header in (("need", "Need"), ("low", "from"), ("high", "to")):
            cells.append((header, [quantity(float(needs[name][e])) for e in reached], True))
        lines = ["Events: the largest need binds.", render_columns(cells)]
        away = [self.why_not(e, float(needs["samples"][e])) for e in range(1, len(self.events)) if e not in reached]
        if away:
            more = f" and {len(away) - 12} more" if len(away) > 12 else ""
            lines.append(f"Not among them: {', '.join(away[:12])}{more}.")
        return "\n".join(lines)

    def why_not(self, e: int, samples: float) -> str:
        event = self.events[e]
        if event is not None and self.key.region in event.failed:
            return f"{event.name} ({self.key.region} itself)"
        return f"{self.headroom.events[e]} ({'its load is not known' if samples == 0 else 'no load lands here'})"

    def demand(self, e: int, at: dict[str, float]) -> str:
        demand, formula = self.carried(e)
        top = int(np.nanargmax(demand))
        own = float(self.usage[top, self.row])
        low, high = quantity(float(np.nanmin(demand))), quantity(float(demand[top]))
        text = f"Demand: {formula} is {low} to {high} over {at['samples']:,.0f} moments at which all of it was observed"
        text += f", highest at {self.time(top)}Z"
        if " + " in formula:
            text += f" ({quantity(own)} its own, {quantity(float(demand[top]) - own)} on top)"
        return text + "."

    def peaks(self, e: int, at: dict[str, float]) -> str:
        risk, window = self.policy._risk(e), self.windows[e]
        worth = wording.independent(at["n_eff"], window)
        text = f"Peaks: the history is worth {worth}. "
        if at["windows"] > 0:
            counted = f"at most {percent(risk)} exceed {quantity(at['counted'])}"
            text += f"Of the {at['windows']:,.0f} that begin at any of its steps and are observed, {counted}."
        if not at["extrapolated"]:
            return f"{text} {percent(risk)} of {at['n_eff']:,.0f} is enough to count, so that is the level."
        few = f"{text}\n{percent(risk)} of {at['n_eff']:.3g} is fewer than the 10 needed to count"
        if at["clusters"] == 0:
            highest = f"the level is the largest seen, {quantity(at['level'])}"
            return f"{few}, and peaks are too few or too even to fit: {highest}."
        fitted = (
            f"{at['clusters']:.0f} clusters above {quantity(at['threshold'])}, {span(at['cluster_s'])} long, "
            f"fit a generalized Pareto tail of shape {at['shape']:.3f} and scale {quantity(at['scale'])}"
        )
        curve = f"By itself that curve reaches {quantity(self.curve(e, at))} at this risk"
        if at["level"] == at["counted"]:
            return f"{few}: {fitted}. {curve}; what was counted is more, so that is the level."
        return f"{few}: {fitted}. {curve}; averaging the risk over the fit's uncertainty, {quantity(at['level'])}."

    def curve(self, e: int, at: dict[str, float]) -> float:
        """The level of the fit taken at its word: P(peak > x) = 1 − exp(−λ(x)·(d + ℓ))."""
        duration_s = self.policy._duration_s(e, self.events[1:])  # type: ignore[arg-type]
        rate = -math.log1p(-self.policy._risk(e)) / (duration_s + at["cluster_s"])
        reach = max(0.0, math.log(at["clusters_per_s"] / rate))
        shape = at["shape"]
        return at["threshold"] + at["scale"] * (math.expm1(shape * reach) / shape if shape else reach)

    def growth(self, at: dict[str, float]) -> str:
        policy = self.policy
        if policy.growth is not None:
            return f"Growth: fixed at ×{quantity(at['growth'])}."
        if math.isnan(at["daily_median"]):
            count = f"{at['days']:.0f} daily maxim{'um is' if at['days'] == 1 else 'a are'}"
            return f"Growth: ×1, because {count} too few to see any (7 are enough)."
        horizon = span(float(policy.lead_time_s) + float(policy.review_s))  # type: ignore[arg-type]
        limit = f"the upper 90% limit of the slope of {at['days']:.0f} daily maxima"
        slope = f"{limit} is {quantity(at['slope_per_day'])} a day"
        if at["growth"] == 1:
            return f"Growth: ×1, because {slope}."
        typical = f"on a typical daily maximum of {quantity(at['daily_median'])}"
        return f"Growth: {slope}; over {horizon} (lead time and review) and {typical} that is ×{at['growth']:.5g}."

    def need(self, at: dict[str, float]) -> str:
        text = f"Need: {quantity(at['level'])} × {at['growth']:.5g} = {quantity(at['need'])}"
        if not math.isnan(at["low"]):
            text += f" ({percent(self.policy.confidence)}: {quantity(at['low'])} to {quantity(at['high'])})"
        usage, needed = float(self.headroom.usage[self.row]), float(self.headroom.needed[self.row])
        return f"{text}. Needed headroom: less the {quantity(usage)} in use, {quantity(needed)}."

    def status(self) -> str:
        h, row = self.headroom, self.row
        held = f" − {quantity(h.reserved[row])} reserved" if h.reserved[row] > 0 else ""
        free = f"{quantity(h.quota[row])} − {quantity(h.usage[row])}{held} = {quantity(h.available[row])} is free"
        worst = f"{percent(h.utilization[row])} of it needed, {percent(h.day_utilization[row])} at the tightest moment"
        short = f"; {quantity(h.shortfall[row])} short" if h.shortfall[row] > 0 else ""
        limits = f"WARNING from {percent(h.warning_frac[row])}, CRITICAL from {percent(h.critical_frac[row])}"
        text = f"Judged: {free}, {worst} of the last 24 h{short}: {h.status[row]} ({limits})."
        if h.status[row] != "OK":
            text += f" A quota of {at_least(h.quota_ok[row])} would be OK."
        text += f" P(what is free is enough) = {probability(h.probability_enough[row])}"
        low, high = h.probability_enough_low[row], h.probability_enough_high[row]
        return text + (f" ({probability(low)} to {probability(high)})." if not math.isnan(low) else ".")

    def ask(self) -> str:
        by = self.headroom.ask_by[self.row]
        if not by:
            return "Ask for more: not needed for growth within ten years, or not possible."
        when = f"by {by[:10]}" if by[:1].isdigit() else by
        return f"Ask for more: {when}, so that a slow increase is there in time."
