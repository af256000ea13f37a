"""Quantile forecasts of a failover's highest peak: mean pinball loss out of sample, ours beside other libraries'.

On real series from ../shared/data. Each forecast is made at a decision from what came before, for the highest demand
over any failover that begins while the quota asked for now applies. `--write` puts the table into README.md.
"""

import sys
import time
from dataclasses import replace

import numpy as np

import surgetank
from _compare import one_thread
from _page import publish, table
from _peers_forecast import FORECASTS
from _policies import DAY_S, FORECAST, LEARNED, PEAK, RISKS, SHARED, Case, Data, fleet, wikipedia
from surgetank.backtest.learning import Observed

H = 3600.0
QUANTILES = (0.9, 0.98, 0.99, 0.997)
SHIPPED = "scikit-learn trees"
AGAINST = "ForecastRule, past errors"


def workload(name, warm_d):
    usage = np.genfromtxt(SHARED / "workloads" / f"{name.lower()}_1h.csv", delimiter=",", skip_header=1)[:, 1]
    return Data(name, usage, H, warm_d, len(usage) // 24 // 2, ())


def tweets():
    """Mentions of five companies: as five quotas, each of which doubles in place."""
    parts = [np.genfromtxt(SHARED / "nab" / "realTweets" / f"Twitter_volume_{name}.csv", delimiter=",", skip_header=1)
             for name in ("AAPL", "CRM", "FB", "IBM", "PFE")]  # fmt: skip
    rows = min(map(len, parts))
    usage = np.stack([part[:rows, 1] for part in parts], axis=1)[:, :, None]
    return Data("tweets", usage, 300.0, 7, rows // 288 // 2, (), ("0",))


#: Data, how long a failover lasts, and the lead time.
CELLS = (
    (wikipedia, H, 3 * DAY_S), (wikipedia, DAY_S, 3 * DAY_S), (fleet, H, DAY_S), (fleet, DAY_S, DAY_S),
    (lambda: workload("Calgary", 28), H, 3 * DAY_S), (lambda: workload("Saskatchewan", 28), H, 3 * DAY_S),
    (tweets, H, DAY_S),
)  # fmt: skip


def setting_of(data, window_s, lead_s):
    doubles = replace(data, regions=None) if data.regions == ("0",) else data
    return surgetank.backtest(
        data.usage, policies=[surgetank.PeakRule()], step_s=data.step_s, scenarios=doubles.scenarios(window_s),
        lead_time_s=lead_s, warmup_s=data.warm_d * DAY_S, regions=data.regions,
    ).setting  # fmt: skip


def pinball(came, forecast, tau):
    """The loss that the tau-quantile minimizes in the mean."""
    return np.maximum(tau * (came - forecast), (tau - 1) * (came - forecast))


def came_of(setting):
    """(D, N) the highest peak that each decision was for; NaN where that is not in the history."""
    observed = Observed.of(setting)
    served = setting.decisions + observed.reach.lead + observed.reach.horizon
    inside = served < len(setting.usage)
    return np.where(inside[:, None], observed.served_top[np.where(inside, served, 0)], np.nan)


def check(setting, names):
    """No forecast changes with what comes later, and the loss is least at the quantile."""
    end = int(setting.decisions[len(setting.decisions) // 2]) + 1
    known = setting.decisions < end
    usage = setting.usage.copy()
    usage[end:] = usage[end:][::-1] * 3
    other = replace(setting, world=replace(setting.world, matrix=usage), fingerprint=0)
    for name in names:
        forecasts = FORECASTS[name](setting, 0.9), FORECASTS[name](other, 0.9)
        assert np.array_equal(forecasts[0][known], forecasts[1][known], equal_nan=True), name
    draws = np.random.default_rng(0).normal(size=20_000)
    tried = np.linspace(-2, 2, 401)
    least = tried[np.argmin([pinball(draws, q, 0.9).mean() for q in tried])]
    assert abs(least - np.quantile(draws, 0.9)) < 0.02


def judge(cell):
    """By quantile and name: loss in multiples of mean usage in each half, the share covered; and seconds by name."""
    data, window_s, lead_s = cell[0](), *cell[1:]
    setting = setting_of(data, window_s, lead_s)
    if data.name in ("Saskatchewan", "tweets"):
        check(setting, FORECASTS)
    came = came_of(setting)
    day = (setting.decisions + 1) * setting.step_s / DAY_S
    mean = np.nanmean(setting.usage, axis=0)
    found, took = {}, {}
    for name, forecast in FORECASTS.items():
        begun = time.process_time()
        for tau in QUANTILES:
            levels = np.asarray(forecast(setting, tau))
            loss, covered = pinball(came, levels, tau) / mean, np.where(np.isnan(came), np.nan, came <= levels)
            halves = [loss[day < data.middle_d], loss[day >= data.middle_d]]
            assert not np.isnan(levels).any(), name
            found[tau, name] = (
                *(float(np.nanmean(half)) for half in halves),
                float(np.nanmean(covered[day >= data.middle_d])),
            )
        took[name] = (time.process_time() - begun) / len(QUANTILES)
    print(f"{data.name}, {window_s / H:.0f} h judged", flush=True)
    return [data.name, f"{window_s / H:.0f} h"], found, took


def losses(judged, half):
    rows = []
    for place, found, _ in judged:
        for tau in QUANTILES:
            values = [found[tau, name][half] for name in FORECASTS]
            best = min(values)
            rows.append([*place, f"{tau:g}", *(f"**{v:.4f}**" if v == best else f"{v:.4f}" for v in values)])
    return table(["data", "failover", "quantile", *FORECASTS], rows)


def means(judged, half):
    """Over cells (geometric), in multiples of ForecastRule's with its past errors."""
    rows = []
    for tau in QUANTILES:
        ratios = {
            name: np.exp(
                np.mean([np.log(found[tau, name][half] / found[tau, AGAINST][half]) for _, found, _ in judged])
            )
            for name in FORECASTS
        }
        rows.append([f"{tau:g}", *(f"{value:.2f}" for value in ratios.values())])
    return rows


FAMILIES = (PEAK, FORECAST, LEARNED)
CONFIDENCE = 0.95


def families(cells):
    """Idle headroom at the same held-out risk; how far the learnt one is above or below, with intervals."""
    rows = []
    for read, window_s, lead_s in cells:
        case = Case(read(), window_s, lead_s)
        curves, times = case.curves((1.0,), FAMILIES), case.draws(len(case.clairvoyant.top))
        for risk in RISKS:
            best = float(case.clairvoyant.idle_at(risk)[0])
            idle = {name: float(curves[name, 1.0, risk].idle_at(risk)[0]) for name in FAMILIES}
            assert all(best <= value for value in idle.values()), (case, risk, idle)
            drawn = {name: curves[name, 1.0, risk].idle_at(risk, times) for name in FAMILIES}
            chosen = {PEAK: f" ({case.tuned[PEAK, 1.0, risk][0]} d)", FORECAST: "",
                      LEARNED: f" (P{100 * case.tuned[LEARNED, 1.0, risk][0]:g})"}  # fmt: skip
            cells_of = [f"{idle[name]:.3f} / {idle[name] - best:.3f}{chosen[name]}" for name in FAMILIES]
            less = []
            for other in (FORECAST, PEAK):
                tails = np.nanquantile(drawn[LEARNED] / drawn[other] - 1, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
                less.append(
                    f"{100 * (idle[LEARNED] / idle[other] - 1):+.0f} % ({100 * tails[0]:+.0f} to {100 * tails[1]:+.0f})"
                )
            place = [case.data.name, f"{window_s / H:.0f} h", f"{lead_s / DAY_S:.0f} d", f"{risk:g}", f"{best:.3f}"]
            rows.append([*place, *cells_of, *less])
        print(f"{case.data.name}, {window_s / H:.0f} h: families judged", flush=True)
    head = ["data", "failover", "lead time", "risk", "clairvoyant", *FAMILIES]
    return table([*head, f"{LEARNED} beside {FORECAST}", f"beside {PEAK}"], rows)


def main():
    one_thread()
    if not SHARED.is_dir():
        print("no real data here: ../shared/data is not beside the repository")
        return
    cells = CELLS if len(sys.argv) < 2 or not sys.argv[1].isdigit() else CELLS[int(sys.argv[1]) :][:1]
    judged = [judge(cell) for cell in cells]
    head = ["quantile", *FORECASTS]
    seconds = [f"{judged[0][2][name]:.2g} s" for name in FORECASTS]
    covered = [
        [f"{tau:g}", *(f"{np.mean([found[tau, name][2] for _, found, _ in judged]):.3f}" for name in FORECASTS)]
        for tau in QUANTILES
    ]
    parts = [
        f"Held out: geometric mean of the loss over the {len(judged)} cells, in multiples of “{AGAINST}”:",
        table(head, [*means(judged, 1), [f"time, {judged[0][0][0]}", *seconds]]),
        "The same on the first halves, on which the design was chosen:",
        table(head, means(judged, 0)),
        "Share of decisions whose highest peak was covered, held out, mean of the cells:",
        table(head, covered),
        "Mean pinball loss in multiples of mean usage, held out:",
        losses(judged, 1),
        "Families at the same held-out risk, asking down as well; raw idle headroom / excess, multiples of mean usage:",
        families([cell for cell in cells if cell[0] in (wikipedia, fleet)]),
    ]
    publish("forecast", "\n\n".join(parts))


if __name__ == "__main__":
    main()
