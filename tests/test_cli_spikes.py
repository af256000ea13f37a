"""`surgetank spikes`, and what `show` says of spikes."""

import json

import numpy as np

from test_cli import QUOTAS, USAGE, here, run, write

__all__ = ["here", "run"]  # fixtures


def test_spikes_of_a_file(here, run):
    rows = [
        f"2026-01-01 {h:02d}:{m:02d}:00,{500 if (h, m) == (5, 0) else 10 - m / 60}" for h in range(8) for m in (0, 30)
    ]
    file = write(here / "load.csv", "time,requests\n", *rows)
    code, _, err = run("spikes", file)
    assert code == 3
    assert "--tz" in err
    assert "RollingSigma" not in run("spikes", file, "--tz", "UTC")[1]  # sixteen samples: nothing is known yet
    file_of = ("spikes", file, "--tz", "UTC", "--detector", "rolling")
    code, out, _ = run(*file_of, "--episodes")
    assert code == 0
    assert "2026-01-01T05:00:00" in out
    body = json.loads(run(*file_of, "--json")[1])
    assert body["series"][0]["count"] == 1
    assert body["episodes"][0]["peak"] == 500
    code, _, err = run(*file_of, "--threshold", "2.9")
    assert code == 3
    assert "2.846" in err


def test_spikes_options_belong_to_one_detector(here, run):
    file = write(here / "load.csv", "time,requests\n", *(f"2026-01-01 {h:02d}:00:00Z,{h}" for h in range(20)))
    assert run("spikes", file, "--window", "20")[0] == 0  # which only the rolling one has
    assert run("spikes", file, "--direction", "up", "--threshold", "2.5")[0] == 0
    for wrong, said in (
        (("--window", "5", "--detector", "adaptive"), "window: is no option of the adaptive detector (got 5)"),
        (("--window", "5", "--direction", "up"), "is no option of the adaptive detector"),
        (("--detector", "magic"), "detector: must be adaptive or rolling"),
        (("--direction", "down"), 'direction: must be "both" or "up"'),
    ):
        code, _, err = run("spikes", file, *wrong)
        assert code == 3
        assert said in err, wrong
    (here / "surgetank.toml").write_text('[spikes]\ndetector = "rolling"\nwindow = 4\nthreshold = 2\n')
    code, _, err = run("spikes", file)
    assert (code, "surgetank.toml, line 4: threshold: must be at most" in err) == (3, True)


def test_spikes_say_by_what_and_of_what_they_cannot_be_told(here, run):
    file = write(here / "load.csv", "time,requests\n", *(f"2026-01-01 {h:02d}:00:00Z,{h}" for h in range(20)))
    code, out, _ = run("spikes", file)
    assert code == 0
    assert out.startswith("Spikes by AdaptiveDetector(direction='both', threshold=1.45)")
    assert "Too short to be judged, less than 51 samples: load (20)" in " ".join(out.split())
    assert "RollingSigma(window=20" in run("spikes", file, "--window", "20")[1]
    assert "Too short" not in run("spikes", file, "--window", "20")[1]
    assert json.loads(run("spikes", file, "--json")[1])["detector"].startswith("AdaptiveDetector(")


def test_half_a_window_is_enough_for_the_rolling_detector(here, run):
    usage = ["10", "11", "", "10", "", "11", "10", "", "11", "10", "11", "50"]
    file = write(here / "load.csv", "time,requests\n", *(f"2026-01-01 {h:02d}:00:00Z,{u}" for h, u in enumerate(usage)))
    out = run("spikes", file, "--detector", "rolling")[1]
    assert "Too short" not in out
    assert "Too short" in run("spikes", file, "--detector", "rolling", "--window", "13")[1]


def test_names_reach_the_terminal_without_their_control_characters(here, run):
    rows = [f"2026-01-01T{h:02d}:00:00Z,a\x1b[31mb,ec2,L-1,1" for h in range(2)]
    file = write(here / "load.csv", USAGE, *rows)
    code, out, _ = run("spikes", file)
    assert (code, "Too short" in out, "\x1b" in out) == (0, True, False)


def test_spikes_of_a_file_are_at_the_step_of_the_config(here, run):
    file = write(here / "load.csv", "time,requests\n", *(f"2026-01-01T00:{m:02d}:00Z,{m}" for m in range(60)))
    (here / "surgetank.toml").write_text("[history]\nstep_s = 1800\n")
    assert "(2)" in run("spikes", file)[1]  # samples


def test_show_looks_with_the_configured_detector(here, run):
    usage = np.r_[np.tile([10.0, 11.0, 10.5], 200), 500.0, np.tile([10.0, 11.0, 10.5], 20)]
    times = np.datetime64("2026-01-01T00:00:00") + np.arange(usage.size) * np.timedelta64(300, "s")
    rows = [f"{t}Z,a,ec2,L-1,{u}" for t, u in zip(times, usage, strict=True)]
    files = write(here / "usage.csv", USAGE, *rows), write(here / "quotas.csv", QUOTAS, "a,ec2,L-1,1000")
    assert run("import", *files)[0] == 0
    assert "1 upward spike, the latest 2026-01-03T02:00" in run("show", "a/ec2/L-1")[1]
    (here / "surgetank.toml").write_text("[spikes]\nthreshold = 50.0\n")
    assert "no upward spikes" in run("show", "a/ec2/L-1")[1]
    (here / "surgetank.toml").write_text('[spikes]\ndetector = "rolling"\nwindow = 3\nthreshold = 0.5\n')
    assert "upward spikes, the latest" in run("show", "a/ec2/L-1")[1]
