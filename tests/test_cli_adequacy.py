"""`surgetank test` as a pipeline meets it: files, exit codes, one line for every mistake."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import surgetank
from cli_stores import plain
from surgetank import AdequacyTest, InvalidInput, cli
from surgetank._toml import tomllib

REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
TEST = {
    "primary_region": "us-east-1",
    "secondary_regions": ["us-west-2", "eu-west-1"],
    "services_to_test": ["ec2"],
    "test_scenarios": ["regional_failover", "az_failure", "traffic_surge"],
    "scenario_configs": {
        "regional_failover": {"traffic_multiplier": 2.0, "duration_hours": 24, "ramp_up_minutes": 30},
        "az_failure": {"traffic_multiplier": 1.3, "duration_hours": 4, "ramp_up_minutes": 15},
        "traffic_surge": {"traffic_multiplier": 3.0, "duration_hours": 2, "ramp_up_minutes": 10},
    },
}
TOML = """\
[test]
primary_region = "us-east-1"
secondary_regions = ["us-west-2", "eu-west-1"]
services = ["ec2"]
scenarios = ["regional_failover", "mine"]
[test.scenario.mine]
multiplier = 0.5
duration = "90m"
ramp = "1m 30s"
kind = "traffic_spike"
[test.scenario.later]
"""
HOLDS = "must hold a test, as JSON or as a section [test] of TOML; `surgetank test --init` writes one"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder with a store of which 60 % of equal quotas are used."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    store(tmp_path / "surgetank.db", (60.0, 60.0, 60.0))
    return tmp_path


def store(path, usage, quota=100.0):
    made = surgetank.History.from_array(
        [usage] * 5, start="2026-01-01T00:00Z", step_s=300, regions=REGIONS, service_code="ec2", quota_code="L-1",
        quota=quota,
    )  # fmt: skip
    with surgetank.Store(path, create=True) as kept:
        kept.import_quotas(list(made.quotas.values()))
        kept.add_samples(made.samples())


@pytest.fixture
def run(here, capsys):
    """Run `surgetank test`, check its exit code; gives output and errors."""

    def call(*args, code=0):
        capsys.readouterr()
        try:
            got = cli.main(["test", *(str(arg) for arg in args)])
        except SystemExit as exit:  # argparse
            got = exit.code
        out = capsys.readouterr()
        assert got == code, out
        assert "Traceback" not in out.err
        return out

    return call


def written(path, body):
    path.write_text(body if isinstance(body, str) else json.dumps(body), encoding="utf-8")
    return path


def test_the_gate(here, run):
    out = run("--config", written(here / "t.json", TEST), code=2).out
    assert out.splitlines()[-1] == "exit 2: 2 of 3 tests failed"
    assert "regional_failover   ec2/L-1" in out
    assert "stops at 7/10, 21 min   stops at 4/10, 12 min" in out
    assert "  raise us-west-2 ec2/L-1 from 100 to 150 (+50)" in out
    assert "us-west-2 36, eu-west-1 36" in run("--config", "t.json", "--ramp", code=2).out


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"test_scenarios": ["az_failure"]}, 0),
        ({"scenario_configs": {"mine": {"traffic_multiplier": 4 / 3}}, "test_scenarios": ["mine"]}, 0),
        ({"scenario_configs": {"mine": {"traffic_multiplier": 1.4}}, "test_scenarios": ["mine"]}, 1),
        ({"scenario_configs": {"mine": {"traffic_multiplier": 1.5}}, "test_scenarios": ["mine"]}, 2),
        ({"test_scenarios": ["mine"]}, 2),
        ({"test_scenarios": []}, 3),
        ({"services_to_test": []}, 3),
        ({"services_to_test": ["rds"]}, 3),
        ({"secondary_regions": []}, 3),
        ({"secondary_regions": ["eu-central-1"]}, 3),
        ({"primary_region": "eu-central-1"}, 3),
        ({"services_to_test": ["rds", "ec2"]}, 2),
        ({"services_to_test": "ec2"}, 3),
    ],
)
def test_exit_codes(here, run, change, code):
    out = run("--config", written(here / "t.json", {**TEST, **change}), code=code)
    assert (out.err == "") == out.out.rstrip().splitlines()[-1:][0].startswith(f"exit {code}: ") if out.out else out.err


def test_json_and_result_files_and_junit(here, run):
    names = ["regional_failover", "../Up", "../up", "az_b"]
    written(here / "t.json", {**TEST, "test_scenarios": names})
    found = plain(run("--config", "t.json", "--json", "--out", "out/deep", "--junit", "j.xml", code=2).out)
    assert (found["status"], found["exit_code"], found["schema_version"]) == ("failed", 2, 1)
    assert [one["name"] for one in found["scenarios"]] == names
    files = sorted(path.name for path in (here / "out" / "deep").iterdir())
    assert files == ["Up.json", "az_b.json", "regional_failover.json", "up-2.json"]
    body = plain((here / "out" / "deep" / "up-2.json").read_text())
    assert (body["name"], body["status"], body["as_of"]) == ("../up", "failed", "2026-01-01T00:20:00Z")
    steps = body["cases"][0]["ramp"]["steps"]
    assert [step["after_s"] for step in steps] == [180.0 * k for k in range(1, 8)]
    root = ET.parse(here / "j.xml").getroot()
    assert [suite.get("name") for suite in root] == names
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("4", "4", "0")
    assert not list(here.rglob(".*"))


def test_the_section_of_the_toml(here, run):
    written(here / "surgetank.toml", TOML)
    out = run(code=2).out
    assert "Described and not tested, because they are not listed: later." in out
    assert "mine                ec2/L-1" in out
    (mine,) = [s for s in AdequacyTest.read(here / "surgetank.toml").listed if s.name == "mine"]
    assert (mine.multiplier, mine.duration_s, mine.ramp_s, mine.kind) == (0.5, 5400.0, 90.0, "traffic_spike")
    store(here / "other.db", (10.0, 10.0, 10.0))
    written(here / "o.toml", f'store = "other.db"\n{TOML}')
    run("--config", "o.toml")
    run("--config", "o.toml", "--store", "surgetank.db", code=2)
    run("--config", "o.toml", "--store", "none.db", code=3)


def test_the_format_is_told_by_content(here, run):
    run("--config", written(here / "a.txt", TOML), code=2)
    run("--config", written(here / "b.toml", TEST), code=2)
    run("--config", written(here / "c", "\ufeff \n" + json.dumps(TEST)), code=2)


def test_a_test_is_sought_where_init_writes_it(here, run):
    err = run(code=3).err
    assert err == (
        "surgetank: --config: must name a test, where neither surgetank.toml has a [test] nor surgetank-test.json is "
        "there; `surgetank test --init` writes one (got nothing)\n"
    )
    run("--init")
    assert AdequacyTest.read("surgetank-test.json").primary_region == "us-east-1"
    run(code=2)
    assert run("--init", code=3).err == "surgetank: surgetank-test.json: is there already; --force replaces it\n"
    written(here / "surgetank-test.json", "mine")
    run("--init", "--force")
    run("--force", code=3)
    run(code=2)


def test_the_templates_say_the_same_and_the_shipped_defaults(here, run):
    run("--init", "--config", "t.json")
    run("--init", "--config", "t.toml")
    one, other = AdequacyTest.read("t.json"), AdequacyTest.read("t.toml")
    assert one == other
    assert [(s.name, s.multiplier, s.duration_s, s.ramp_s) for s in one.listed] == [
        ("regional_failover", 2.0, 86400.0, 1800.0),
        ("az_failure", 1.3, 14400.0, 900.0),
        ("traffic_surge", 3.0, 7200.0, 600.0),
    ]


def test_init_into_a_toml_keeps_what_else_is_there(here, run):
    text = 'store = "mine.db"  # ours\n\n[test]\nx = 1\n\n[test.scenario.a]\n\n[check]\nmin_coverage = 0.5\n'
    written(here / "surgetank.toml", text)
    assert "--force replaces its section [test]" in run("--init", "--config", "surgetank.toml", code=3).err
    assert (here / "surgetank.toml").read_text() == text
    run("--init", "--config", "surgetank.toml", "--force")
    body = tomllib.loads((here / "surgetank.toml").read_text())
    assert (body["store"], body["check"], next(iter(body["test"]["scenario"]))) == (
        "mine.db", {"min_coverage": 0.5}, "regional_failover",
    )  # fmt: skip
    assert "# ours" in (here / "surgetank.toml").read_text()
    written(here / "inline.toml", "test = { x = 1 }\n")
    assert "valid TOML" in run("--init", "--config", "inline.toml", "--force", code=3).err
    written(here / "broken.toml", "[")
    assert "must be valid TOML" in run("--init", "--config", "broken.toml", "--force", code=3).err
    assert (here / "broken.toml").read_text() == "["


BAD = """\
{"primary_region": "", "secondary_regions": ["us-west-2", "us-west-2"], "services_to_test": "ec2",
 "test_scenarios": ["a", 1], "primary_regoin": 3,
 "scenario_configs": {
   "a": {"traffic_multiplier": -1, "duration_hours": "x", "ramp_up_minutes": 0, "kind": "az"},
   "b": {"traffic_multiplier": NaN, "duration_hour": 4},
   "c": {"traffic_multiplier": 1e9, "duration_hours": 1, "ramp_up_minutes": 90},
   "d": [], "e": 1, "e": {"duration_hours": 1, "ramp_up_minutes": 61}, "": {},
   "f": {"traffic_multiplier": true, "duration_hours": 1e999, "ramp_up_minutes": null}
 }}
"""


def test_every_mistake_of_a_json_file_is_named_at_once(here, run):
    lines = run("--config", written(here / "t.json", BAD), code=3).err.splitlines()
    assert lines[0].startswith("surgetank: t.json, line 1: ")
    assert all(line.startswith("  also t.json, line ") for line in lines[1:])
    said = [line.partition("line ")[2] for line in lines]
    configs = "scenario_configs."
    kinds = "az_failure, regional_failover, traffic_spike"
    hours, minutes = (
        "must be a number of hours above 0, at most ten",
        "must be a number of minutes above 0, at most ten",
    )
    wanted = [
        "1: primary_region: must be a text that is not empty (got '')",
        "1: secondary_regions: must not name one twice (got 'us-west-2')",
        "1: services_to_test: must be a list of texts (got 'ec2')",
        "1: e: must stand once in its object (got it twice)",
        "2: test_scenarios: must be a sequence of texts (got ['a', 1])",
        "2: primary_regoin: is no key here; did you mean 'primary_region'? (got 3)",
        f"4: {configs}a.traffic_multiplier: must be a number above 0, at most 1,000,000 (got -1)",
        f"4: {configs}a.duration_hours: {hours} years (got 'x')",
        f"4: {configs}a.ramp_up_minutes: {minutes} years (got 0)",
        f"4: {configs}a.kind: must be a kind of scenario; known: {kinds} (got 'az')",
        f"5: {configs}b.traffic_multiplier: must be a number above 0, at most 1,000,000 (got nan)",
        f"5: {configs}b.duration_hour: is no key here; did you mean 'duration_hours'? (got 4)",
        f"6: {configs}c.traffic_multiplier: must be a number above 0, at most 1,000,000 (got 1000000000.0)",
        f"7: {configs}d: must be a table of keys and values (got [])",
        f"7: {configs}e.ramp_up_minutes: must be at most the duration (got 61)",
        "7: scenario_configs: must have names that are not empty (got '')",
        f"8: {configs}f.traffic_multiplier: must be a number above 0, at most 1,000,000 (got True)",
        f"8: {configs}f.duration_hours: {hours} years (got inf)",
        f"8: {configs}f.ramp_up_minutes: {minutes} years (got None)",
    ]
    assert sorted(said) == sorted(wanted)
    with pytest.raises(InvalidInput) as caught:
        AdequacyTest.read("t.json")
    assert (caught.value.argument, len(caught.value.others)) == ("t.json, line 1", len(wanted) - 1)


def test_every_mistake_of_a_toml_file_is_named_at_once(here, run):
    body = (
        '[test]\nprimary_region = "us-east-1"\nsecondary_regions = ["us-east-1"]\nservices = ["", "ec2"]\nx = 1\n'
        '[test.scenario.a]\nmultiplier = nan\nduration = "4"\nramp = "0s"\nkind = 3\n[test.scenario.b]\nramp = 30\n'
    )
    wanted = [
        "t.toml, line 1: test.scenarios: must be stated (got nothing)",
        "t.toml, line 3: test.secondary_regions: must not name the primary Region, whose load they take "
        "(got 'us-east-1')",
        "t.toml, line 4: test.services: must be a text that is not empty (got '')",
        "t.toml, line 5: test.x: is no key here; known: primary_region, scenario, scenarios, secondary_regions, "
        "services (got 1)",
        "t.toml, line 7: test.scenario.a.multiplier: must be a number above 0, at most 1,000,000 (got nan)",
        "t.toml, line 8: test.scenario.a.duration: needs a unit, such as \"5m\" (got '4')",
        "t.toml, line 9: test.scenario.a.ramp: must be a duration above 0 (got '0s')",
        "t.toml, line 10: test.scenario.a.kind: must be a kind of scenario; known: az_failure, regional_failover, "
        "traffic_spike (got 3)",
        't.toml, line 12: test.scenario.b.ramp: needs a unit, such as "5m" (got 30)',
    ]
    lines = run("--config", written(here / "t.toml", body), code=3).err.splitlines()
    assert [lines[0].removeprefix("surgetank: "), *(line.removeprefix("  also ") for line in lines[1:])] == wanted
    written(here / "surgetank.toml", body)
    assert cli.main(["plan"]) == 3  # which does not read it, and still says that it is wrong


def test_a_file_of_mistakes_names_so_many(here, run):
    body = {**TEST, **{f"x{n}": n for n in range(500)}}
    lines = run("--config", written(here / "t.json", body), code=3).err.splitlines()
    assert len(lines) == 101
    assert lines[-1] == "  also 400 more mistakes"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", f"t.json: {HOLDS} (got an empty file)"),
        (b" \n", f"t.json: {HOLDS} (got an empty file)"),
        (b"{", "t.json, line 1: must be valid JSON: Expecting property name enclosed in double quotes"),
        (b"{\xff}", "t.json: must be a readable file: not UTF-8 text (got 't.json')"),
        (b"\xff\xfe{\x00}\x00", "t.json: must be a readable file: not UTF-8 text (got 't.json')"),
        (b'{"a":' + b"[" * 100_000, "t.json: must be valid JSON: it is nested too deeply"),
        (b"[1, 2]", "t.json, line 1: the file: must be a table of keys and values (got [1, 2])"),
        (b"[1]", f"t.json: {HOLDS} (got TOML without one)"),
        (b"null", "t.json, line 1: the file: must be a table of keys and values (got None)"),
        (b"{}\x1b[31m", "t.json, line 1: must be valid JSON: Extra data"),
    ],
    ids=lambda value: repr(value[:12]),
)  # fmt: skip
def test_what_is_no_test_is_one_line(here, run, body, message):
    (here / "t.json").write_bytes(body)
    assert run("--config", "t.json", code=3).err == f"surgetank: {message}\n"


def test_other_files_that_are_none(here, run):
    assert run("--config", ".", code=3).err == "surgetank: .: must be a readable file: Is a directory (got '.')\n"
    run("--config", "none.json", code=3)
    written(here / "t.toml", "[check]\n")
    assert run("--config", "t.toml", code=3).err == f"surgetank: t.toml: {HOLDS} (got TOML without one)\n"
    written(here / "t.toml", "test = 3\n")
    assert "line 1: test: must be a table of keys and values (got 3)" in run("--config", "t.toml", code=3).err
    body = json.dumps(TEST).replace("2.0", "1" * 5000)
    assert "traffic_multiplier: must be a number above 0" in run("--config", written(here / "t", body), code=3).err


def test_names_from_files_reach_the_terminal_printable(here, run):
    evil = "e\x1b[31m\u202e\ud800"
    body = {**TEST, "services_to_test": [evil, "ec2"], "test_scenarios": [evil], "scenario_configs": {evil: {}}}
    written(here / "t.json", body)
    out = run("--config", "t.json", "--junit", "j.xml", "--out", "out", code=2).out
    assert not {c for c in out if not c.isprintable() and c != "\n"}
    assert ET.parse(here / "j.xml").getroot().get("tests") == "2"
    assert [path.name for path in (here / "out").iterdir()] == ["e_31m.json"]
    plain(run("--config", "t.json", "--json", code=2).out)
    written(here / "t.json", {**body, evil: 1})
    assert not {c for c in run("--config", "t.json", code=3).err if not c.isprintable() and c != "\n"}


def test_what_cannot_be_written_exits_3_after_the_answer(here, run):
    written(here / "t.json", TEST)
    written(here / "file", "x")
    for option, place in (("--out", "file"), ("--junit", "."), ("--junit", "none/j.xml")):
        out = run("--config", "t.json", option, place, code=3)
        assert "exit 2: 2 of 3 tests failed" in out.out
        assert out.err.count("\n") == 1
    assert Path("file").read_text() == "x"


def test_the_moment_that_is_tested(here, run):
    written(here / "t.json", {**TEST, "test_scenarios": ["az_failure"]})
    assert "as of 2026-01-01T00:20:00Z" in run("--config", "t.json").out
    assert (
        "usage (last seen 2026-01-01T00:20:00Z)" in run("--config", "t.json", "--now", "2026-02-01T00:00Z", code=3).out
    )
    run("--config", "t.json", "--now", "yesterday", code=3)
