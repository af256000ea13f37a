"""`surgetank backtest`: what is asked, and what comes out."""

import pytest

import surgetank
from cli_stores import caller, kept, plain, rows
from surgetank._commands_backtest import _guarded
from surgetank.cli import main


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    assert main(["demo", "--dir", str(folder)]) == 0
    return folder / "surgetank.db"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return kept(tmp_path_factory.mktemp("small") / "small.db")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    return caller(tmp_path, monkeypatch, capsys)


def test_the_default_is_a_table_of_what_is_safest(run, store):
    out = run("backtest", store=store).out
    assert out.startswith("403 policies over 9 series, 23 d judged; 4 failovers; a look every 1 d, lead time 3 d\n")
    assert "more with --csv or --json)\n" in out
    assert "would land is not known: elasticloadbalancing/L-53DA6B97 (no usage in eu-west-1).\n" in out
    assert len(out.splitlines()) < 40
    narrow = run("backtest", store=store, width="80").out
    assert max(map(len, narrow.splitlines())) <= 80


def test_policies_by_their_words_are_those_of_python(run, small):
    words = ("--policy", "peak:factor=1.2|1.5|2,window=7d", "--policy", "forecast", "--scenario", "N-1")
    found = plain(run("backtest", *words, "--json", store=small).out)["policies"]
    with surgetank.Store(small) as there:
        history = there.history()
    rules = [*surgetank.grid(surgetank.PeakRule, factor=[1.2, 1.5, 2], window_s=7 * 86400), surgetank.ForecastRule()]
    same = surgetank.backtest(history, policies=rules, scenarios="N-1").table().to_records()
    assert found == [{**row, "options": rules[row["index"]].to_dict()} for row in same]


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ("percentile:quantile=.9,factor=1.15,window=7d,lower=.9,of=demand",
         ["P90 of demand ×1.15 of 7 d, down below 90%"]),
        ("peak:lower=none|.9,window=1d|12h",
         ["peak ×1.2 of 1 d", "peak ×1.2 of 12 h",
          "peak ×1.2 of 1 d, down below 90%", "peak ×1.2 of 12 h, down below 90%"]),
        ("threshold:threshold=.7,window=1d", ["×1.2 at 70% of 1 d"]),
        ("forecast:factor=1.05,quantile=.99,half-life=30d", ["forecast ×1.05 of P99, down below 100%, half life 30 d"]),
        ("learned:quantile=.99|.9,refit=7d,lower=none", ["learned P99 ×1, refit 7 d", "learned P90 ×1, refit 7 d"]),
        ("quantile:risk=.01|.001,lead_time=1d,factor=1.1",
         ["risk 1% ×1.1, lead time 1 d", "risk 0.1% ×1.1, lead time 1 d"]),
        ("classic:headroom_factor=1.2", ["classic, headroom ×1.2"]),
        ("clairvoyant:risk=.01", ["clairvoyant, risk 1%"]),
        ("rule", ["forecast ×1, down below 100%"]),
    ],
)  # fmt: skip
def test_every_kind_and_option(run, small, spec, names):
    if spec.startswith("learned"):
        pytest.importorskip("sklearn", reason="the extra [forecast] is not installed")
    found = plain(run("backtest", "--policy", spec, "--policy", spec, "--scenario", "N-1", "--json", store=small).out)
    assert sorted(row["policy"] for row in found["policies"]) == sorted(names)  # each once


def test_a_headroom_policy_is_the_toml_files(run, small, tmp_path):
    (tmp_path / "surgetank.toml").write_text("[policy.quantile]\nrisk = 0.02\n")
    assert "risk 2%" in run("backtest", "--policy", "quantile", store=small).out


def test_what_a_call_says_changes_the_run(run, small):
    def asked(*args):
        args = ("--policy", "peak:window=1d,factor=1.5|2.5", "--scenario", "N-1", *args)
        return plain(run("backtest", *args, "--json", store=small).out)

    plainly = asked()
    assert plainly["events"] == ["r1 fails", "r2 fails"]
    judged = ", 39 d judged; 2 failovers; a look every 1 d, lead time 3 d"
    assert plainly["judged"].endswith(judged)
    other = asked("--warmup", "10d", "--review", "12h", "--lead-time", "1d")
    assert other["judged"].endswith(", 30 d judged; 2 failovers; a look every 12 h, lead time 1 d")
    assert asked("--now", "2026-01-20T23:00Z")["judged"].endswith(judged.replace("39", "19"))
    assert asked("--step", "7200")["judged"].endswith(judged)
    assert asked("--quota", "r1/ec2")["series"] == ["r1 ec2", "r2 ec2"]  # what lands comes from the other
    assert asked("--threads", "1") == asked("--threads", "2") == plainly
    drawn = asked("--moments", "50")
    assert drawn != plainly
    assert drawn == asked("--moments", "50", "--seed", "0") != asked("--moments", "50", "--seed", "1")
    applied = asked("--from-applied")
    assert {row["requests_per_30d"] for row in applied["policies"]} == {0.0}  # 500 is more than anybody wants
    assert [row["idle_frac"] for row in applied["policies"]] == pytest.approx([4.0, 4.0], abs=0.02)


def test_a_quota_by_itself_fares_as_among_others(run, tmp_path):
    path = kept(tmp_path / "three.db", rds=("r1", "r2", "r3"))
    with surgetank.Store(path) as there:
        history = there.history()
    rules = surgetank.grid(surgetank.PeakRule, window_s=86400, factor=[1.45, 1.5])
    whole = surgetank.backtest(history, policies=rules, scenarios="N-1")  # half of what r1 loses lands in r3
    words = ("--policy", "peak:window=1d,factor=1.45|1.5", "--scenario", "N-1", "--json")
    alone = plain(run("backtest", "--quota", "ec2", *words, store=path).out)
    assert alone["series"] == ["r1 ec2", "r2 ec2"]
    assert alone["events"] == ["r1 fails", "r2 fails"]
    ours = [name.endswith("ec2") for name in whole.series]
    assert [row["risk"] for row in alone["policies"]] == whole.risk[:, ours].mean(axis=1).tolist() == [1, 0]


def test_the_frontier_and_the_cheapest(run, small):
    many = ("--policy", "peak:window=1d|7d,factor=1.5|1.8|2|2.2|2.5|3", "--scenario", "N-1")
    everything = plain(run("backtest", *many, "--json", store=small).out)["policies"]
    assert len(everything) == 12
    frontier = plain(run("backtest", *many, "--frontier", "--json", store=small).out)["policies"]
    assert 2 <= len(frontier) < 12
    found = plain(run("backtest", *many, "--risk", ".2", "--json", store=small).out)["choice"]
    cheap = min((row for row in everything if row["risk"] <= 0.2), key=lambda row: row["cost_per_h"])
    assert found["policy"] == cheap["policy"]
    assert found["index"] == cheap["index"]
    sure = run("backtest", *many, "--risk", ".2", "--confidence", ".9", store=small).out
    assert "with 90% confidence at most" in sure
    few = ("--policy", "peak:window=1d,factor=1.01", "--scenario", "N-1", "--risk", ".2")
    assert "No policy meets a risk of 20%" in run("backtest", *few, store=small, code=2).out


def test_csv_is_for_spreadsheets(run, tmp_path):
    path = kept(tmp_path / "odd.db", service="=cmd")
    out = run("backtest", "--policy", "peak:window=1d,factor=2|3", "--csv", "--risk", ".2", store=path)
    found = rows(out.out)
    assert [row["policy"] for row in found] == ["peak ×2 of 1 d", "peak ×3 of 1 d"]
    assert all(float(row["risk"]) == 0 for row in found)
    assert "is the cheapest with a risk of at most 20%" in out.err  # and not among the rows
    assert [_guarded(v) for v in ("=1", "+1", "-x", "@a", "P90", -1.5)] == ["'=1", "'+1", "'-x", "'@a", "P90", -1.5]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("--policy percentle", "--policy: must begin with a policy; did you mean 'percentile'? (got 'percentle')"),
        ("--policy percentile:quantil=.9", "--policy: percentile: has no option quantil; did you mean 'quantile'?"),
        ("--policy peak:factor=much", "--policy: peak: factor: must be a number (got 'much')"),
        ("--policy peak:factor=0", "--policy: peak: factor: must be a positive number (got 0.0)"),
        ("--policy peak:window=30", "--policy: peak: window: needs a unit, such as \"5m\" (got '30')"),
        ("--policy peak:factor=1,factor=2", "--policy: peak: factor: must be given once, with | between values"),
        ("--policy peak:factor", "--policy: peak: must be followed by option=value, with , between them"),
        ("--policy quantile:tail=long", '--policy: quantile: tail: must be "fitted" or "counted" (got \'long\')'),
        ("--policy rule:factor=2", "--policy: rule: is the TOML file's, and takes no options (got 'factor=2')"),
        ("--risk 2", "--risk: must lie between 0 and 1 (got 2.0)"),
        ("--risk nan", "--risk: must lie between 0 and 1 (got nan)"),
        ("--risk .001 --confidence .9", "--risk: cannot be shown with a confidence of 0.9: "),
        ("--risk .2 --confidence high", "--confidence: must be a fraction in [.5, 1), or none (got 'high')"),
        ("--confidence .9", "--confidence: is for --risk (got '.9')"),
        ("--lead-time 3", "--lead-time: needs a unit, such as \"5m\" (got '3')"),
        ("--lead-time 50d", "--lead-time: must be shorter than the history, 40 d: else no change would ever apply"),
        ("--review 0s", "--review: must be a finite duration of more than 0 seconds (got 0.0)"),
        ("--warmup 41d", "--warmup: must leave something of the history, 40 d, to judge (got '41 d')"),
        ("--moments 0", "--moments: must be at least 1, or None for every one (got 0)"),
        ("--seed -1", "--seed: must be a whole number of 0 or more (got -1)"),
        ("--scenario N-9", '--scenario: "N-9" needs at least 10 Regions in the plan'),
        ("--scenario n1", "--scenario: must be one of N-1, "),
        ("--quota s3", "--quota: must name a quota of the plan; "),
        ("--step 0", "--step: must be a finite duration of more than 0 seconds (got 0.0)"),
        ("tune --risk .2 --split 1", "--split: must be a fraction between 0 and 1 (got 1.0)"),
        ("tune --risk .2 --method random", "--trials: must be given for random search (got None)"),
        ("tune --risk .2 --trials 5", "--trials: is for --method random (got 5 with grid)"),
        ("tune --risk .2 --state no/such.json", "--state: must be a file to read and write: No such file"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(run, small, args, message):
    words = args.split()
    command = words if words[0] == "tune" else ["backtest", *words]
    err = run(*command, store=small, code=3).err
    assert err.startswith(f"surgetank: {message}")
    assert err.count("\n") == 1


def test_stores_with_too_little(run, store, tmp_path):
    with surgetank.Store(tmp_path / "empty.db", create=True):
        pass
    short = kept(tmp_path / "short.db", days=2)
    for path, message in (
        (tmp_path / "empty.db", "holds no usage yet"),
        (short, "must "),
        (tmp_path / "none.db", "none"),
    ):
        for command in (["backtest"], ["tune", "--risk", ".2"]):
            err = run(*command, store=path, code=3).err
            assert message in err
            assert err.count("\n") == 1
    assert "--warmup be given" in run("backtest", "--policy", "peak", store=short, code=3).err
    err = run("backtest", "--quota", "elasticloadbalancing", store=store, code=3).err
    assert err.endswith("(got elasticloadbalancing/L-53DA6B97 (no usage in eu-west-1))\n")
