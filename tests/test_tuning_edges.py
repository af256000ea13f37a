"""`tune` where little or nothing can be judged, and where what is given cannot be used."""

import numpy as np
import pytest

import surgetank
from surgetank import Clairvoyant, InvalidInput, PeakRule, tune

DAY, HOUR = 86400.0, 3600.0
USAGE = 100 * np.random.default_rng(0).lognormal(0, 0.3, (960, 2))
RULES = surgetank.grid(PeakRule, factor=[1, 1.5], window_s=DAY)


def tuned(usage=USAGE, policies=RULES, **more):
    return tune(usage, risk=0.3, confidence=None, policies=policies, step_s=HOUR, warmup_s=5 * DAY, **more)


@pytest.mark.parametrize(("rows", "part"), [(slice(0, 540), "tuned on"), (slice(540, None), "held back")])
def test_a_part_without_usage_is_refused(rows, part):
    usage = USAGE.copy()
    usage[rows] = np.nan
    with pytest.raises(InvalidInput, match=f"usage: must let a failover be judged in the part that is {part}, "):
        tuned(usage)


@pytest.mark.parametrize("method", ["grid", "halving"])
@pytest.mark.parametrize("others", [[], [Clairvoyant()]])
def test_policies_that_never_want_a_quota(method, others):
    found = tuned(policies=[lambda past: None, *others], method=method)
    assert found.warning
    assert found.table()
    if not others:
        assert found.choice.policy is None
        assert np.isnan(found.held_back.risk)


@pytest.mark.parametrize("place", ["missing/x", "."])
def test_a_state_that_is_no_file(tmp_path, place):
    with pytest.raises(InvalidInput, match="state: must be a file to read and write: "):
        tuned(state=tmp_path / place)


def test_progress_must_be_callable():
    with pytest.raises(InvalidInput, match="progress: must be callable"):
        tuned(progress=5)


@pytest.mark.parametrize(
    ("kind", "option"), [("PeakRule", "factor"), ("ForecastRule", "factor"), ("ThresholdRule", "threshold")]
)
def test_what_no_double_can_divide_by_is_named(kind, option):
    def replayed():
        surgetank.backtest(USAGE, policies=[getattr(surgetank, kind)(**{option: 5e-324})], step_s=HOUR)

    with pytest.raises(InvalidInput, match=f"^{option}: must not be so small"):
        replayed()


@pytest.mark.parametrize("scale", [1e-305, 1e-308, 1e-320, 1e300])
def test_any_unit(scale):
    options = {"step_s": HOUR, "warmup_s": 10 * DAY, "policies": [surgetank.ForecastRule(), PeakRule(window_s=DAY)]}
    plain = surgetank.backtest(USAGE, **options).total.idle_frac
    found = surgetank.backtest(USAGE * scale, **options).total.idle_frac
    if scale > 1e-310:
        np.testing.assert_allclose(found, plain, rtol=1e-3)
