"""Arrow takes plain CSV apart as Python's csv does: the same samples, the same report, the same lines in messages."""

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surgetank import InvalidInput
from surgetank.history import arrowtext, csvfile
from surgetank.history.readers import read_samples

pytest.importorskip("pyarrow")

INSTANTS = ["0", "300", "600.5", "2026-01-01T00:00:00Z", "2026-01-01 00:05+00:00", "x", "", " 900 ", "1e3", "nan", "-1"]
NUMBERS = [
    *("1", "2.5", "", " ", "-0", "-3", "nan", "NaN", "NAN", "nan(5)", "-nan", "NA", "null", "-", "inf", "-Infinity"),
    *("1e999", "1e-400", "+5", " 5 ", "5\t", "\u00a05", "1_0", "0x1p3", "1d5", "٥", "1,5", "x", "0.1", "1e23"),
    *("9007199254740993", ".5", "5.", "١"),
]
NAMES = [
    "a",
    "b",
    "",
    " a ",
    "é",
    "日本",
    "a b",
    "\u2028",
    "\x0b",
    "\x1c",
    "\x85",
    "nan",
    "#",
    "\ufeff",
    "'",
    "\\",
    "\t",
]
LINE = st.one_of(
    st.tuples(st.sampled_from(INSTANTS), st.sampled_from(NAMES), st.sampled_from(NUMBERS)).map(",".join),
    st.tuples(st.integers(0, 5).map(lambda n: str(300 * n)), st.sampled_from("ab"), st.sampled_from(["1", "2"])).map(
        ",".join
    ),
    st.sampled_from(["", " ", ",", ",,", ",,,", "0,a", "0,a,1,", '0,"a",1', '0,"a\nb",1', '0,a"b,1', '"', "0,\0,1"]),
)
LINES = st.lists(st.tuples(LINE, st.sampled_from(["\n", "\n", "\n", "\r\n", "\r"])), max_size=25)


def outcome(content, **how):
    """Everything a reader says of a source: samples by series and the report, or the error and its report."""
    try:
        found = read_samples(io.BytesIO(content), **how)
    except InvalidInput as error:
        return str(error), error.report
    series = [tuple(part.tobytes() for part in found.series(n)) for n in range(len(found.keys))]
    return found.keys, found.units, series, replace(found.report, format="")


@pytest.fixture
def both(monkeypatch):
    """A source read with Arrow from its first block after the header on, in small blocks, and by Python alone."""
    taken = []
    plain = arrowtext.PlainRows.columns

    def columns(self, block):
        found = plain(self, block)
        taken.append(found is not None)
        return found

    monkeypatch.setattr(arrowtext.PlainRows, "columns", columns)

    def read(content, block=64, **how):
        monkeypatch.setattr(csvfile, "BLOCK", block)
        results = []
        for least in (1, 1 << 60):
            monkeypatch.setattr(arrowtext, "FAST_AFTER", least)
            results.append(outcome(content, **how))
        return results

    read.taken = taken
    return read


@given(LINES, st.sampled_from(["refuse", "skip"]), st.integers(20, 200), st.sampled_from(["keep", "refuse", "missing"]))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_alike(lines, bad, block, negative):
    content = "timestamp,region,usage\n" + "".join(line + end for line, end in lines)
    with pytest.MonkeyPatch.context() as patch:
        read = both.__wrapped__(patch)
        fast, slow = read(content.encode(), block, bad=bad, negative=negative)
    assert fast == slow


@given(st.lists(st.lists(st.sampled_from(NUMBERS), min_size=4, max_size=4), max_size=15), st.integers(20, 200))
@settings(max_examples=100, deadline=None)
def test_wide_tables_are_read_alike(rows, block):
    lines = [f"{300 * n},{','.join(cells)}" for n, cells in enumerate(rows)]
    content = "\n".join(["timestamp,a,b,c,d", *lines])
    with pytest.MonkeyPatch.context() as patch:
        fast, slow = both.__wrapped__(patch)(content.encode(), block, bad="skip")
    assert fast == slow


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=0), st.sampled_from("gefr"), st.integers(0, 20))
@settings(max_examples=300, deadline=None)
def test_a_number_is_the_same_to_the_last_bit(value, kind, digits):
    pa = pytest.importorskip("pyarrow")
    text = repr(value) if kind == "r" else f"{value:.{digits}{kind}}"
    assert arrowtext.TextColumn(pa.array([text])).floats().tolist() == [float(text)]


def test_plain_files_are_indeed_read_by_arrow_and_name_their_lines(both):
    lines = [f"{300 * n},r{n % 3},{n}\n" for n in range(2_000)]
    lines[1_500] = "450000,r0,many\n"
    fast, slow = both(("timestamp,region,usage\n" + "".join(lines)).encode(), 1 << 12)
    assert sum(both.taken) > 5
    assert all(both.taken)  # also the block with a cell that is no number
    assert fast == slow
    assert fast[0].startswith("stream, line 1502, column 'usage'")


def test_a_unit_that_changes_is_named_on_its_line(both):
    lines = [f"{300 * n},r{n % 3},{n},{'GB' if n < 900 else 'MB'}\n" for n in range(2_000)]
    fast, slow = both(("timestamp,region,usage,unit\n" + "".join(lines)).encode(), 1 << 12)
    assert fast == slow
    assert "line 902, column 'unit'" in fast[0]


def test_series_are_numbered_in_the_order_in_which_they_come(both):
    rng = np.random.default_rng(3)
    names = [f"s{n}" for n in rng.integers(0, 50, 3_000)]
    lines = [f"{n},{name},{name[::-1]},1\n" for n, name in enumerate(names)]
    fast, slow = both(("timestamp,region,service_code,usage\n" + "".join(lines)).encode(), 1 << 12)
    assert fast == slow
    assert [key.region for key in fast[0]] == list(dict.fromkeys(names))


def test_without_arrow_nothing_changes(monkeypatch):
    content = ("timestamp,region,usage\n" + "".join(f"{n},a,1\n" for n in range(5_000))).encode()
    monkeypatch.setattr(csvfile, "BLOCK", 1 << 12)
    monkeypatch.setattr(arrowtext, "FAST_AFTER", 1)
    expected = outcome(content)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    assert outcome(content) == expected
