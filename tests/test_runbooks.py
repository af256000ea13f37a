"""Runbooks from files: models, durations, and the TOML format."""

import math

import pytest

import surgetank
from clear import clear_error
from surgetank import InvalidInput
from surgetank.recovery import (
    Branch,
    DataStore,
    Empirical,
    Exponential,
    Fixed,
    Gamma,
    Lognormal,
    Mixture,
    Pert,
    Runbook,
    Step,
    Triangular,
    Uniform,
    Weibull,
    models,
)
from surgetank.recovery.reading import MOST_TOML_BYTES, parse_runbook, runbook_toml
from surgetank.recovery.units import duration_text, seconds_of

needs_core = pytest.mark.skipif(not hasattr(surgetank._core, "Distribution"), reason="needs the core's distributions")

STEP = '[[step]]\nname = "a"\nduration = '


def read_duration(text):
    return parse_runbook(STEP + text)["a"].duration


def message(text):
    """What `parse_runbook` says of a text, without the name of the file."""
    with clear_error(InvalidInput) as caught:
        parse_runbook(text, "r.toml")
    said = str(caught.value)
    assert said.startswith("r.toml")
    return said[len("r.toml") :].removeprefix(", ").removeprefix(": ")


# Units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("5m", 300),
        ("5 min", 300),
        ("1h 30m", 5400),
        ("1h30m", 5400),
        ("2d", 172_800),
        ("1w", 604_800),
        ("500ms", 0.5),
        (" 1.5 hours ", 5400),
        ("0s", 0),
        ("1e3s", 1000),
        (".5m", 30),
    ],
)
def test_a_duration_is_a_text_with_units(text, seconds):
    assert seconds_of(text, "target") == seconds


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (5, 'target: needs a unit, such as "5m" (got 5)'),
        ("300", "target: needs a unit, such as \"5m\" (got '300')"),
        ("-5m", 'target: must be a duration, such as "90s", "5m" or "1h 30m" (got \'-5m\')'),
        ("", 'target: must be a duration, such as "90s", "5m" or "1h 30m" (got \'\')'),
        ("5 fortnights", "target: must have units among w, d, h, m, s, ms (got '5 fortnights')"),
        ("5m 1h", "target: must have larger units first, each once (got '5m 1h')"),
        ("5m 5m", "target: must have larger units first, each once (got '5m 5m')"),
        ("1e999s", "target: must be a finite duration (got '1e999s')"),
        (True, 'target: must be a duration with a unit, such as "5m" (got True)'),
        (None, 'target: must be a duration with a unit, such as "5m" (got None)'),
    ],
)
def test_what_is_no_duration(given, said):
    with clear_error(InvalidInput) as caught:
        seconds_of(given, "target")
    assert str(caught.value) == said


@pytest.mark.parametrize("seconds", [0.0, 0.1, 1e-7, 59.0, 90.0, 5400.0, 86_461.0, 1 / 3, 1e12, 123456.789, 5e-324])
def test_a_duration_comes_back_from_its_text(seconds):
    assert seconds_of(duration_text(seconds), "x") == seconds


# Models


def test_the_health_check_is_an_order_statistic():
    # 16 − ⌊.18·16⌋ = 14 of 16 must have missed three times: Beta(14, 3) of 30 s, after 60 s.
    check = models.health_check()
    assert check == Pert(60, 86, 90, 15)
    mode = (check.likely_s - check.low_s) / (check.high_s - check.low_s)
    assert (1 + check.weight * mode, 1 + check.weight * (1 - mode)) == pytest.approx((14, 3))


def test_a_fast_health_check_and_a_single_checker():
    fast = models.health_check(10)
    assert (fast.low_s, fast.high_s) == (20, 30)
    assert fast.likely_s == pytest.approx(20 + 10 * 13 / 15)
    assert models.health_check(checkers=1, threshold=1) == Uniform(0, 30)
    assert models.health_check(checkers=100, healthy_frac=0.29).likely_s == pytest.approx(60 + 30 * 70 / 99)


@needs_core
def test_quantiles_of_the_health_check_are_those_of_beta():
    stats = pytest.importorskip("scipy.stats")
    p = [0.001, 0.1, 0.5, 0.9, 0.999]
    assert models.health_check().quantile(p) == pytest.approx(60 + 30 * stats.beta(14, 3).ppf(p), rel=1e-9)
    assert models.health_check().quantile(0.5) == pytest.approx(85.1, abs=0.05)


def test_the_other_models():
    assert models.dns() == Uniform(60, 300)
    assert models.dns(holding_frac=0) == Fixed(60)
    assert models.dns(30, 90, 0.25) == Mixture([(0.75, Fixed(30)), (0.25, Uniform(30, 90))])
    assert models.warm_up() == Uniform(0, 300)
    assert models.warm_up(True) == Fixed(0)
    assert models.multi_az_failover() == Lognormal(85, 150)
    assert models.replication_lag("dynamodb") == Lognormal(1, 3)
    assert models.snapshot_age(3600) == Uniform(0, 3600)
    assert [models.manual_stage(s).high_s for s in models.MANUAL_STAGES] == [300, 600, 900, 1800]
    assert models.quota_increase() == Lognormal(86_400, 432_000)


def test_replication_time_control_keeps_its_promise():
    lag = models.replication_lag("s3-rtc")
    sigma = math.log(lag.p95_s / lag.median_s) / 1.6448536269514722
    assert lag.median_s * math.exp(3.719016485455709 * sigma) == pytest.approx(900)  # 99.99 %


def test_failback_is_in_steps():
    steps = models.failback_steps(after="x")
    assert [s.duration for s in steps] == [Fixed(7200), Fixed(900), Fixed(1800), Fixed(0)]
    assert Runbook([Step("x"), *steps]).ends == ("100 % back",)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: models.health_check(0), "interval_s: must be a finite duration of more than 0 seconds (got 0)"),
        (lambda: models.health_check(threshold=0), "threshold: must be a whole number in [1, 1000] (got 0)"),
        (lambda: models.health_check(checkers=1.5), "checkers: must be a whole number in [1, 1000] (got 1.5)"),
        (lambda: models.health_check(healthy_frac=1), "healthy_frac: must be below 1 (got 1)"),
        (lambda: models.dns(600), "longest_s: must be at least ttl_s 600 (got 300.0)"),
        (lambda: models.warm_up("yes"), "prewarmed: must be True or False (got 'yes')"),
        (
            lambda: models.replication_lag("dynamo"),
            "kind: must be one of dynamodb, s3-rtc; did you mean 'dynamodb'? (got 'dynamo')",
        ),
        (
            lambda: models.manual_stage("declar"),
            "stage: must be one of declare, activate, verify, stabilise; did you mean 'declare'? (got 'declar')",
        ),
        (lambda: models.manual_stage([]), "stage: must be one of declare, activate, verify, stabilise (got [])"),
    ],
)
def test_models_name_what_is_wrong(call, said):
    with clear_error(InvalidInput) as caught:
        call()
    assert str(caught.value) == said


# Durations of a file


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ('"90s"', Fixed(90)),
        ('{ fixed = "5m" }', Fixed(300)),
        ('{ uniform = ["60s", "5m"] }', Uniform(60, 300)),
        ('{ uniform = { low = "60s", high = "5m" } }', Uniform(60, 300)),
        ('{ triangular = ["1m", "2m", "5m"] }', Triangular(60, 120, 300)),
        ('{ pert = ["1m", "2m", "5m"] }', Pert(60, 120, 300)),
        ('{ pert = { low = "1m", likely = "2m", high = "5m", weight = 6 } }', Pert(60, 120, 300, 6)),
        ('{ lognormal = { median = "85s", p95 = "150s" } }', Lognormal(85, 150)),
        ('{ gamma = { shape = 2, scale = "30s" } }', Gamma(2, 30)),
        ('{ weibull = { shape = 0.5, scale = "30s" } }', Weibull(0.5, 30)),
        ('{ exponential = "1m" }', Exponential(60)),
        ('{ empirical = ["60s", "75s"] }', Empirical([60, 75])),
        (
            '{ mixture = [{ weight = 0.8, duration = "1m"}, { weight = 0.2, duration = { uniform = ["1m", "2m"] } }] }',
            Mixture([(0.8, Fixed(60)), (0.2, Uniform(60, 120))]),
        ),
        ('{ health-check = { interval = "10s" } }', models.health_check(10)),
        ("{ dns = {} }", models.dns()),
        ('{ dns = { longest = "2m", holding_frac = 0.5 } }', models.dns(60, 120, 0.5)),
        ("{ warm-up = { prewarmed = true } }", Fixed(0)),
        ("{ multi-az-failover = {} }", Lognormal(85, 150)),
        ('{ replication-lag = "s3-rtc" }', models.replication_lag("s3-rtc")),
        ('{ snapshot-age = "1h" }', Uniform(0, 3600)),
        ('{ manual-stage = "declare" }', models.manual_stage("declare")),
        ("{ quota-increase = {} }", models.quota_increase()),
    ],
)
def test_durations_of_a_file(text, made):
    assert read_duration(text) == made


@needs_core
def test_durations_that_the_core_makes():
    assert read_duration('{ truncated = { of = "5m", low = "1m" } }') == Fixed(300).truncated(60)
    wide = read_duration('{ pert = { low = "1m", likely = "2m", high = "5m", at = 0.9 } }')
    assert wide == Pert.from_quantiles(60, 120, 300, confidence=0.9)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("90", 'duration: needs a unit, such as "5m" (got 90)'),
        ("true", 'duration: must be a duration such as "5m", or a table such as { uniform = ["1m", "5m"] } (got True)'),
        ("{}", "duration: must be a table of one distribution or model (got 'an empty table')"),
        ('{ fixed = "1m", dns = {} }', "duration: must be a table of one distribution or model (got 'fixed, dns')"),
        (
            '{ unifrom = ["1m"] }',
            "duration: must be a distribution or a model; did you mean 'uniform'? (got 'unifrom')",
        ),
        ('{ uniform = ["1m"] }', "duration: uniform: must have low, high (got ['1m'])"),
        ('{ uniform = ["5m", "1m"] }', "duration: uniform: high: must be at least low 300 (got 60.0)"),
        ('{ uniform = [1, "1m"] }', 'duration: uniform: low: needs a unit, such as "5m" (got 1)'),
        ('{ pert = { low = "1m" } }', "duration: pert: must have low, likely, high (got 'low')"),
        (
            '{ pert = { low = "1m", likly = "1m" } }',
            "duration: pert: likly: is no key of it; did you mean 'likely'? (got 'likly')",
        ),
        ('{ gamma = { shape = 0, scale = "1m" } }', "duration: gamma: shape: must be a number above 0 (got 0)"),
        ("{ empirical = [] }", 'duration: empirical: must be a list of durations, such as ["60s", "75s"] (got [])'),
        (
            '{ mixture = [{ weight = -1, duration = "1m" }] }',
            "duration: mixture: parts: weights must be 0 or more (got -1)",
        ),
        (
            '{ mixture = [{ weight = 1, duration = { dns = { tll = "1s" } } }] }',
            "duration: mixture: duration: dns: tll: is no key of it; did you mean 'ttl'? (got 'tll')",
        ),
        ("{ snapshot-age = {} }", "duration: snapshot-age: must have interval (got 'an empty table')"),
        ("{ quota-increase = 1 }", "duration: quota-increase: takes nothing: must be an empty table, {} (got 1)"),
        ('{ dns = { ttl = "10m" } }', "duration: dns: longest: must be at least ttl 600 (got 300.0)"),
        ('{ truncated = "5m" }', "duration: truncated: must be a table with of, and low or high or both (got '5m')"),
    ],
)
def test_wrong_durations_of_a_file(text, said):
    assert message(STEP + text) == f"line 3: {said}"


# The file as a whole

WHOLE = """\
name = "whole"
title = "All there is"
target = "15m"
rpo_target = "1h"
detection = "b"
declaration = "c"
done = ["d"]
served_target = 0.9
strategy = "pilot-light"
cost_usd_per_month = 12.5
[[step]]
name = "b"
duration = "1m"
[[branch]]
name = "fork"
options = { "left hand" = 0.25, right = 0.75 }
after = "b"
[[step]]
name = "c"
after = ["fork:left hand"]
failure = 0.1
retries = 2
retry_after = "10s"
fallback = "e"
loadings = { people = 0.5 }
capacity = "ec2/*"
[[step]]
name = "e"
[[step]]
name = "d"
after = ["c", "fork:right"]
join = "any"
[[store]]
name = "s"
lag = "1s"
copy = { uniform = ["0s", "1m"] }
"""


def test_every_key_of_a_runbook():
    left = {"failure": 0.1, "retries": 2, "retry_after": 10, "fallback": "e", "loadings": {"people": 0.5}}
    made = Runbook(
        [
            Step("b", 60),
            Branch("fork", {"left hand": 0.25, "right": 0.75}, after="b"),
            Step("c", after=["fork:left hand"], capacity="ec2/*", **left),
            Step("e"),
            Step("d", after=["c", "fork:right"], join="any"),
        ],
        name="whole",
        title="All there is",
        target_s=900,
        rpo_target_s=3600,
        detection="b",
        declaration="c",
        done="d",
        served_target=0.9,
        strategy="pilot-light",
        cost_usd_per_month=12.5,
        stores=[DataStore("s", 1, Uniform(0, 60))],
    )
    assert parse_runbook(WHOLE) == made
    assert parse_runbook(runbook_toml(made)) == made


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('target = "15m"', "target = 15", 'line 3: target: needs a unit, such as "5m" (got 15)'),
        ("title", "titel", "line 2: titel: is no key at the top; did you mean 'title'? (got 'titel')"),
        ('title = "All there is"', "title = 5", "line 2: title: must be a text (got 5)"),
        ('detection = "b"', 'detection = "bb"', "line 5: detection: must be a step; did you mean 'b'? (got 'bb')"),
        ('done = ["d"]', 'done = ["dd"]', "line 7: done: must be a step; did you mean 'd'? (got 'dd')"),
        ("served_target = 0.9", "served_target = 0", "line 8: served_target: must be above 0 (got 0)"),
        ("failure = 0.1", "failure = 2", "line 21: failure: must be a probability in [0, 1] (got 2)"),
        ("failure = 0.1", "failur = 0", "line 21: failur: is no key of a step; did you mean 'failure'? (got 'failur')"),
        ("retries = 2", "retries = 2.5", "line 22: retries: must be a whole number in [0, 100] (got 2.5)"),
        (
            "people = 0.5",
            "people = 2",
            "line 25: loadings: must have squares that add up to at most 1",
        ),
        ('name = "e"', 'duration = "1s"', "line 27: name: must be given for every step (got 'duration')"),
        ('name = "e"', 'name = "c"', "line 28: steps: must have different names (got 'c')"),
        ('lag = "1s"', "", "line 33: lag: must be given for every store (got 'name, copy')"),
        ("0.75", "0.5", "line 16: options: must have probabilities that add up to 1 (got 0.75)"),
        (
            'after = "b"',
            'after = "bb"',
            "line 17: after: of 'fork' must name steps that are there; did you mean 'b'? (got 'bb')",
        ),
        (
            "fork:right",
            "fork:rigth",
            "line 31: after: of 'd' must name an option; did you mean 'right'? (got 'fork:rigth')",
        ),
        ('fallback = "e"', 'fallback = "f"', "line 24: fallback: of 'c' must be a step; known: b, c, d, e (got 'f')"),
    ],
)
def test_a_mistake_is_named_with_its_line(old, new, said):
    assert old in WHOLE
    assert message(WHOLE.replace(old, new, 1)).startswith(said)


def test_a_circle_is_named_with_the_line_of_an_after():
    text = '[[step]]\nname = "a"\nafter = "b"\n\n[[step]]\nname = "b"\nafter = "a"\n'
    assert message(text).startswith("line 3: steps: must not wait for each other in a circle")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "step: must be given, as [[step]] (got 'nothing')"),
        ("step = 1", "line 1: step: must be a list of tables, [[step]] (got 1)"),
        ("step = [1]", "line 1: step: must be a list of tables, [[step]] (got 1)"),
        ("cost_usd_per_month = 0x" + "f" * 5000, "line 1: cost_usd_per_month: must be a number of at most 64 bits"),
        ("x = " + "[" * 60 + "]" * 60, "x: must be nested at most 32 deep (got more)"),
        ("x = " + "[" * 9000 + "]" * 9000, "must be valid TOML"),
        ("x = " + "9" * 5000, "must be valid TOML"),
        (".".join("a" * 300) + " = 1", "a: must be nested at most 32 deep (got more)"),
        (STEP + f'"{"1" * 500}s"', "line 3: duration: must be at most 120 characters"),
        ("#" * (MOST_TOML_BYTES + 1), f"must be a file of at most {MOST_TOML_BYTES} bytes (got 'more')"),
    ],
)
def test_hostile_files(text, said):
    assert message(text).startswith(said)
