"""`adequacy`: tables, JUnit by two parsers, names of files."""

import os
import pickle
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adequacy_worlds import PRIMARY, SHIPPED, key, of, sixty, world
from surgetank import AdequacyScenario, InvalidInput, adequacy
from surgetank.adequacy.writing import file_names


def test_the_result_presents_itself_and_pickles():
    found = adequacy(sixty(), of(scenarios=SHIPPED, unlisted=("later",)))
    again = pickle.loads(pickle.dumps(found))
    assert again.to_json() == found.to_json()
    assert [row["status"] for row in found.to_records()] == ["failed", "passed", "failed"]
    assert [row["ramp_stop"] for row in found.to_records()] == [7.0, None, 5.0]
    assert len(found.ramps.to_records()) == 7 + 10 + 5
    assert "Described and not tested, because they are not listed: later." in found.table()
    assert "<table>" in found._repr_html_()
    assert "us-west-2 36, eu-west-1 36" in found.ramps.table(160)
    with pytest.raises(InvalidInput, match="name: must be a scenario of the test; did you mean 'az_failure'"):
        found["az_fail"]


def test_the_table_as_a_whole():
    text = adequacy(sixty(), of()).table(130) + "\n"
    golden = Path(__file__).parent / "golden" / "adequacy_130.txt"
    if os.environ.get("REFRESH_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8"), (
        "REFRESH_GOLDEN=1 pytest tests/test_adequacy_output.py writes it anew"
    )


def test_junit_by_two_parsers():
    names = ["us-west-2", "\u202eevil\x00<&>\"'\ud800", "ünïcödé אבג"]
    values = {key(r, service=s): (60.0, 100.0) for r in (PRIMARY, *names) for s in ("ec2", "bad\x1b[31m")}
    warn = AdequacyScenario('w"<\x07\udfff', 64 / 60 * 2.5)
    test = of(
        secondaries=names, services=["ec2", "bad\x1b[31m", "none\x08"],
        scenarios=["regional_failover", "az_failure", AdequacyScenario("x", 2.1), warn],
    )  # fmt: skip
    found = adequacy(world(values), test)
    text = found.to_junit()
    root = ET.fromstring(text)
    suites = root.findall("testsuite")
    assert len(suites) == 4
    cases = [case for suite in suites for case in suite.findall("testcase")]
    counts = {
        "tests": len(cases),
        "failures": sum(case.find("failure") is not None for case in cases),
        "errors": sum(case.find("error") is not None for case in cases),
    }
    statuses = [case.status for case in found.cases]
    assert counts == {"tests": 12, "failures": statuses.count("failed"), "errors": statuses.count("UNKNOWN")}
    for name, count in counts.items():
        assert int(root.get(name)) == count == sum(int(suite.get(name)) for suite in suites)
    assert root.get("timestamp") == found.made[:-1]
    assert float(root.get("time")) == pytest.approx(sum(float(suite.get("time")) for suite in suites), abs=1e-5)
    warned = [case for case in cases if case.find("system-out") is not None]
    assert len(warned) == statuses.count("warning") > 0
    assert warned[0].find("system-out").text.startswith("warning: ")
    assert not {c for c in text if not c.isprintable() and c != "\n"}
    junitparser = pytest.importorskip("junitparser", reason="a second reader of JUnit XML")
    read = junitparser.JUnitXml.fromstring(text.encode())
    assert (read.tests, read.failures, read.errors) == tuple(counts.values())
    kinds = [type(result).__name__ for suite in read for case in suite for result in case.result]
    assert kinds.count("Failure") == counts["failures"]
    assert kinds.count("Error") == counts["errors"]


def test_names_of_files_are_safe_and_different():
    names = ["../../etc/passwd", "..", "", "A", "a", "a-2", "con", "COM1.x", "x" * 500, "ü/ö", "\ud800", "a\x00b", "."]
    files = file_names(names)
    assert len({file.lower() for file in files}) == len(names)
    assert all("/" not in f and not f.startswith((".", "-")) and len(f) < 100 and f.isascii() for f in files)
    assert files[3:8] == ["A.json", "a-2.json", "a-2-2.json", "_con.json", "_COM1.x.json"]


@given(st.lists(st.text(max_size=20), max_size=20, unique=True))
def test_any_names_give_as_many_files(names):
    files = file_names(names)
    assert len({file.lower() for file in files}) == len(names)
    assert all(f.isascii() and f.isprintable() and "/" not in f and "\\" not in f for f in files)
