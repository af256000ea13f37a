"""`backtest` against its slow twin: every figure, on random worlds; every instruction set gives the same bits."""

import hashlib
import math
import os
import subprocess
import sys

import numpy as np
import pytest

import oracles_backtest as twin
from backtest_worlds import World, events_of, replayed, twins_of
from surgetank import (
    Clairvoyant,
    ClassicPolicy,
    InvalidInput,
    QuantilePolicy,
    Scenario,
    SizedRule,
    _core,
    backtest,
    size_headroom,
)

LEVELS = ("plain", "x86-64-v2", "x86-64-v3", "x86-64-v4")
COUNTS = ("samples", "moments", "fails", "failed_days", "requests", "reversals")
MEANS = ("coverage", "risk", "failover_coverage", "idle", "expected_shortfall")


def close(found, expected, scale, what):
    """To twelve digits of what was added up."""
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-12 * max(scale, 1e-300), nan_ok=True), what


def assert_same(run, world, replays, peaks, tail=0.2, tau=0.9):
    """Every figure of every policy and series; totals from those of the twin."""
    first, step_s, matrix = run.setting.first, world.step_s, world.matrix
    day_of, hours = twin.days(step_s, world.start_s), (len(matrix) - first) * step_s / 3600
    means = [np.nanmean(u) if (~np.isnan(u)).any() else 0.0 for u in matrix[first:].T]
    cost = world.more.get("cost")
    held = np.array([1 / m if m else 0.0 for m in means]) if cost is None else np.ravel(cost.per_unit_h)
    short_h, per_request = (0.0, 0.0) if cost is None else (0.5, 3)
    cvar, pinball, blocks = run.cvar(tail), run.pinball(tau), run.replayed.figures(block=7)
    np.testing.assert_allclose(run.peak, np.column_stack(peaks), rtol=1e-12)
    for p, of_series in enumerate(replays):
        np.testing.assert_allclose(run.quota_path(p), np.column_stack([r.quota for r in of_series]), rtol=1e-12)
        measured = [
            twin.measure(u, peak, r, first=first, cvar_frac=tail, day_of=day_of)
            for u, peak, r in zip(matrix.T, peaks, of_series, strict=True)
        ]
        for i, m in enumerate(measured):
            what = f"{run.policies[p]} of series {i}"
            scale = (m["quota_sum"] + np.nansum(peaks[i])) / max(1, m["samples"])
            assert [int(getattr(run, n)[p, i]) for n in COUNTS] == [m[n] for n in COUNTS], what
            for name in MEANS:
                close(getattr(run, name)[p, i], m[name], scale, what)
            assert run.last_quota[p, i] == m["last_quota"] or np.isnan([run.last_quota[p, i], m["last_quota"]]).all()
            close(run.quota[p, i], twin.ratio(m["quota_sum"], m["samples"]), scale, what)
            close(run.max_shortfall[p, i], m["max_short"], scale, what)
            close(cvar[p, i], m["cvar"], scale, what)
            close(pinball[p, i], twin.pinball(m, tau), scale, what)
            short = short_h * twin.ratio(m["own_short_sum"], m["samples"])
            expected = held[i] * m["idle"] + short + per_request * m["requests"] / hours
            close(run.cost_per_h[p, i], expected, scale * (held[i] + 1), what)
            rows = twin.by_block(matrix[:, i], peaks[i], of_series[i], first=first, block=7)
            for name, values in rows.items():
                close(blocks[name][p, i], values, 7 * scale, f"{what}: {name} in blocks")
        assert_totals(run, p, measured, held, means, hours)


def assert_totals(run, p, measured, held, means, hours):
    summed = {name: sum(m[name] for m in measured) for name in (*COUNTS, "own_short")}
    if not summed["moments"]:
        return
    value, total = float(held @ means) or math.nan, run.total
    close(total.risk[p], summed["fails"] / summed["moments"], 1, "risk")
    close(total.coverage[p], 1 - summed["own_short"] / summed["samples"], 1, "coverage")
    # Where it had no quota although there was usage, its cost is not known.
    judged = all(m["samples"] > 0 or seen == 0 for m, seen in zip(measured, run.setting.observed, strict=True))
    for name, of in (("idle_frac", "idle"), ("shortfall_frac", "expected_shortfall")):
        if not judged:
            assert math.isnan(getattr(total, name)[p])
            continue
        expected = np.nansum([h * m[of] for h, m in zip(held, measured, strict=True)]) / value
        close(getattr(total, name)[p], expected, 1e3, name)
    for name in ("requests", "reversals"):
        close(getattr(total, name)[p], summed[name] / len(measured) / (hours / 24) * 30, 1, name)
    close(total.cost_per_h[p], np.nansum(run.cost_per_h[p]) if judged else math.nan, 1e3, "cost_per_h")


@pytest.mark.parametrize("part", range(4))
def test_equals_the_twin(part):
    refused = 0
    for seed in range(part, 44, 4):
        world, rules, run = replayed(seed)
        first = round(world.more["warmup_s"] / world.step_s)
        if isinstance(run, InvalidInput):
            refused += 1
            assert run.argument == "usage"
            if world.more["moments"] is None:
                replays, peaks = twins_of(world, rules, first)
                known = [~np.isnan([r[i].quota + peak for r in replays]) for i, peak in enumerate(peaks)]
                assert any(
                    not k.any() and not np.isnan(u[first:]).all() for k, u in zip(known, world.matrix.T, strict=True)
                ), seed
            continue
        assert run.setting.first == first
        assert_same(run, world, *twins_of(world, rules, first, run.setting.moments))
    assert refused < 8


SIZED = (
    SizedRule(policy=QuantilePolicy(risk=0.05)),
    SizedRule(policy=QuantilePolicy(risk=0.05), headroom_factor=1.5, lower=0.9),
    SizedRule(policy=QuantilePolicy(risk=0.2, history_s=4 * 86400), factor=0.9, threshold=0.97),
    SizedRule(policy=ClassicPolicy(), lower=1.0),
)


@pytest.mark.parametrize("seed", range(2))
def test_sized_rules_say_what_the_policy_says_of_what_was_known(seed):
    random = np.random.default_rng(seed)
    hours = np.arange(24 * 12)[:, None]
    usage = 50 * (1.5 + np.sin(2 * np.pi * hours / 24)) * random.lognormal(0, 0.3, (len(hours), 2)) * (1 + hours / 200)
    usage[random.random(usage.shape) < 0.05 * seed] = np.nan
    world = World(usage, usage, 3600.0, ["0", "1"], 0.0, ["N-1"])
    world.parts = [Scenario(f"{a} fails", a, {b: 1.0}) for a, b in ("01", "10")]
    world.more = {"lead_time_s": 86400.0, "review_s": 43200.0}
    run = backtest(usage, policies=SIZED, step_s=3600, scenarios="N-1", **world.more)
    first = run.setting.first
    assert first == 7 * 24
    peaks = [twin.peak_of(usage, i, events_of(world, i)) for i in range(2)]
    replays = []
    for sized in SIZED:
        seen = np.full(usage.shape, np.nan)
        for t in range(first - 1, len(usage), 12):
            h = size_headroom(usage[: t + 1], quota=np.nan, step_s=3600, scenarios="N-1", policy=sized.policy)
            seen[t] = h.usage + sized.headroom_factor * h.needed
        bar = max(sized.threshold or 0, 1 / sized.factor)
        rule = twin.Rule(bar=bar, factor=sized.factor, lower=sized.lower or 0.0, start=sized.factor)
        at = {"first": first, "every": 12, "lead": 24}
        replays.append([twin.replay(usage[:, i], peaks[i], seen[:, i], rule, **at) for i in range(2)])
    assert_same(run, world, replays, peaks)
    assert run.requests.sum() > 10


def test_the_clairvoyant_fails_and_idles_as_the_twins_frontier():
    for seed in range(8):
        random = np.random.default_rng(seed)
        usage = np.round(random.gamma(2, 10, (90, 2)), 1)
        usage[random.random(usage.shape) < 0.1 * (seed % 3)] = np.nan
        surges = [Scenario(f"surge {r}", r, {r: 1.0}, multiplier=2, duration_s=3 * 3600) for r in "01"]
        world = World(usage, usage, 3600.0, ["0", "1"], 0.0, surges, surges, {})
        every, first = int(random.choice([1, 4, 24])), 5
        risks = (0.0, 0.05, 0.3, 0.9)
        run = backtest(
            usage, policies=[Clairvoyant(risk=r) for r in risks], step_s=3600, scenarios=surges,
            review_s=every * 3600, warmup_s=first * 3600,
        )  # fmt: skip
        for i in range(2):
            peak = twin.peak_of(usage, i, events_of(world, i))
            fails, idle = twin.clairvoyant(usage[:, i], peak, first=first, every=every)
            for p, risk in enumerate(risks):
                k = np.searchsorted(fails, risk * run.moments[p, i], side="right") - 1
                assert run.fails[p, i] == fails[k]
                close(run.idle[p, i] * run.samples[p, i], idle[k], run.quota[p, i] * run.samples[p, i], "idle")


def digest():
    """One line for each world and number of threads."""
    lines = []
    for seed in range(0, 20, 2):
        for threads in (1, 2):
            _, _, run = replayed(seed, threads=threads)
            if isinstance(run, InvalidInput):
                lines.append(f"{seed} {run}")
                continue
            arrays = [*run.replayed.figures(cvar_frac=0.3).values(), *run.blocks().values(), run.excess_frac]
            kept = hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()[:16]
            lines.append(f"{seed} {kept}")
    return lines


@pytest.fixture(scope="module")
def expected():
    return digest()


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_gives_the_same_bits(expected, level):
    if level not in _core.cpu_levels():
        pytest.skip(f"this machine or build cannot run {level}")
    environment = {**os.environ, "SURGETANK_CPU": level, "PYTHONPATH": os.pathsep.join(sys.path)}
    code = "import surgetank, test_backtest_twin as t; print(surgetank.cpu(), *t.digest(), sep='\\n')"
    here = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert here.stderr == ""
    forced, *lines = here.stdout.splitlines()
    assert forced == level
    assert lines == expected
    assert lines[::2] == lines[1::2]  # whatever the number of threads
