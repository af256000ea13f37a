"""What fuzzing found, each as small as it could be made; and the seeds of every target, without the fuzzer."""

import base64
import datetime as dt
import io
import itertools
import json
import warnings
import zlib

import numpy as np
import pytest

from clear import clear_error
from fuzz import seeding
from fuzz.targets import TARGETS
from surgetank import InvalidInput, QuantilePolicy
from surgetank._bridge import numbers
from surgetank.backtest.search import _State
from surgetank.backtest.writing import write_policy
from surgetank.config import Config
from surgetank.errors import invalid
from surgetank.history import cells, spool
from surgetank.history.cells import parse_instant
from surgetank.history.keys import QuotaKey
from surgetank.history.layout import wide_keys
from surgetank.history.readers import read, read_quotas
from surgetank.recovery.reading import parse_runbook, read_runbook, runbook_toml

SEEDS = [(name, *seed) for name, target in TARGETS.items() for seed in seeding.inputs(name, target.choices)]


@pytest.mark.parametrize(("target", "data"), [(s[0], s[2]) for s in SEEDS], ids=[f"{s[0]}-{s[1]}" for s in SEEDS])
def test_seeds(target, data):
    if target == "made":
        pytest.importorskip("pyarrow")
    TARGETS[target].run(data)


def test_every_target_has_seeds_and_every_seed_a_target():
    assert {path.name for path in seeding.SEEDS.iterdir() if path.is_dir()} == set(TARGETS)
    assert {target for target, *_ in SEEDS} == set(TARGETS)


def test_the_first_lines_of_real_series(shared_data):
    beginnings = list(seeding.first_lines())
    assert len(beginnings) > 5
    for (_, data), choice in itertools.product(beginnings, (1, 2, 6)):
        TARGETS["csv_usage"].run(bytes([choice]) + data)


def arrow_stream(region):
    pa = pytest.importorskip("pyarrow")
    out = io.BytesIO()
    table = pa.table({"timestamp": ["2026-01-01T00:00:00Z"], "region": [region], "usage": [1.5]})
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def test_an_arrow_file_whose_offsets_lead_out_of_it():
    """pyarrow took the text at its word: gigabytes of memory that was not the file's, or a crash."""
    region = "us-east-1" * 7
    content = arrow_stream(region)
    offsets = bytes(4) + len(region).to_bytes(4, "little")
    before, there, after = content.rpartition(offsets)  # what stands before it tells how long the offsets are
    assert there
    assert read(io.BytesIO(content)).samples.keys[0].region == region
    damaged = before + bytes(4) + (1 << 30).to_bytes(4, "little") + after
    with clear_error(InvalidInput, "source", "whole Arrow file", "offset"):
        read(io.BytesIO(damaged))


def test_an_arrow_file_that_claims_to_be_larger_than_memory():
    content = arrow_stream("us-east-1")
    at = content.rindex(
        b"\xff\xff\xff\xff", 0, -8
    )  # the message of the one batch, and in it the length of what follows
    damaged = bytearray(content)
    body = int.from_bytes(content[at + 4 : at + 8], "little")
    length = len(content) - 8 - (at + 8 + body)
    place = content.index(length.to_bytes(8, "little"), at)
    damaged[place + 6] = 0x40
    with clear_error(InvalidInput, "source", "whole Arrow file"):
        read(io.BytesIO(damaged))


def test_the_first_bad_row_of_quotas_is_the_one_named():
    """A row of another width was named before a number that is none in a row above it."""
    text = b"region,quota\na,1\nb,many\nc\n"
    with clear_error(InvalidInput, "line 3", "'quota'", "many"):
        read_quotas(io.BytesIO(text))
    with clear_error(InvalidInput, "line 4", "2 fields"):
        read_quotas(io.BytesIO(text.replace(b"many", b"2")))


@pytest.mark.parametrize("blanks", range(4))
def test_json_near_an_accented_letter_is_not_said_to_be_no_utf_8(blanks):
    """The parser shows what stands around a mistake, and half of a letter at its edge was taken for the mistake."""
    text = '{"MetricDataResults": [{"Label": "' + "é" * 20 + '"' + " " * blanks + "x}]}"
    with clear_error(InvalidInput, "MetricDataResults[0]", "must be JSON") as caught:
        read(io.BytesIO(text.encode()))
    assert "UTF-8" not in str(caught.value)


@pytest.mark.parametrize("year", [2026, 2514, 3000, 9998])
def test_fractions_of_a_second_are_cut_off_in_every_year(year):
    """As a float, the last microsecond of a second is the next second, from the year 2514 on."""
    whole = dt.datetime(year, 1, 1, tzinfo=dt.timezone.utc)
    second = int((whole - dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)) / dt.timedelta(seconds=1))
    assert parse_instant(f"{year}-01-01T00:00:00.999999Z", None) == second
    assert parse_instant(whole.replace(microsecond=999_999), None) == second


def test_names_of_columns_may_hold_what_parts_columns_elsewhere():
    """The semicolons of a name in quotes were counted, and the table was said to have no timestamp."""
    text = 'timestamp,"a;b;c;d","a|b"\n2026-01-01T00:00Z,1,2\n'
    found = read(io.BytesIO(text.encode()), series="{service_code}").samples
    assert [key.service_code for key in found.keys] == ["a;b;c;d", "a|b"]


@pytest.mark.parametrize("name", ["n" * 121, "n" * 1000])
def test_region_switch_plans_of_long_names_can_be_written_and_read_back(tmp_path, name):
    step = {"Name": "a", "ExecutionBlockType": "ManualApproval"}
    plan = {"Name": name, "Workflows": [{"Steps": [step], "WorkflowTargetRegion": "r" * 1000}]}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    runbook = read_runbook(tmp_path / "plan.json")
    assert parse_runbook(runbook_toml(runbook)) == runbook


def test_the_temporary_file_of_many_rows_is_closed(monkeypatch):
    monkeypatch.setattr(spool, "MEMORY_ROWS", 1)
    text = b"timestamp,region,usage\n0,a,1\n60,a,2\n120,b,3\n"
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)  # one that cannot be raised is reported by pytest
        assert read(io.BytesIO(text)).samples.value.tolist() == [1, 2, 3]


MONTHS = """
c-s5_|Ns973=9kc3?RV8z{9}Cz{<b@WB~yq3y{wM<Z%E=7AVQUzzoC<Kx_f!&jFeNRLl)BLk23w0999%QVb;7K!!m@85zz%)H7jI
pPFn0w1)?X*}?XKG$?@GCj#WN0Y!PhJcxT4SwXY{k{O&pT#}iaT3nKtTL2bk0m}ic{Qm<;i$K-!Fo;2Y$^$l$ftiIt0!Vo<zyKGJ
&ja=~C@gxQVZ_9M0PGC70S}ZGfYKUJ+5$xt2b>S}D}w`?ISy#@uyA5RQ%8u;0QEb}9YzL5X1WH3KonwNU<F1|5HUx%peaa@5pLK4
dmyg=4~{$r1^~F{EDr
"""  # a file of Arrow with a column of months, for which pyarrow has no class


def test_an_arrow_column_for_which_pyarrow_has_no_class(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "months.arrow"
    path.write_bytes(zlib.decompress(base64.b85decode("".join(MONTHS.split()))))
    with clear_error(InvalidInput, "column rds: must be of a type that pyarrow reads", "month_interval"):
        read(path)


@pytest.mark.parametrize("data", [b"\xef", b"\xef\xbb", b"\xef\xbb\xbf\xff"])
def test_half_a_byte_order_mark_is_no_text(tmp_path, data):
    path = tmp_path / "surgetank.toml"
    path.write_bytes(data)
    with clear_error(InvalidInput, "must be a readable file: not UTF-8 text"):
        Config.read(path)
    with clear_error(InvalidInput, "surgetank.toml: must be readable TOML"):  # and is not replaced
        write_policy(path, QuantilePolicy())
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a" + ".a" * 900 + " = 1", ["at most 32 deep"]),
        ("costs.a" + ".a" * 900 + " = 1", ["costs", "at most 32 deep"]),
        ("policy.name" + ".a" * 900 + " = 1", ["policy", "at most 32 deep"]),
        ("scenarios = []\nstore = 0x" + "f" * 4000, ["line 2", "store", "64 bits"]),
        ("[spikes]\nwindow = 0x" + "f" * 4000, ["line 2", "window", "64 bits"]),
    ],
)
def test_toml_has_room_for_more_than_python_can_show(tmp_path, text, words):
    """Keys of a thousand parts, and numbers of thousands of digits: both ended in a traceback."""
    path = tmp_path / "surgetank.toml"
    path.write_text(text)
    with clear_error(InvalidInput, "surgetank.toml", *words):
        Config.read(path)


def test_what_python_refuses_to_write_is_shown_as_what_it_is():
    assert "int too large" in str(invalid("window", "must be a number", 16**5000))


def test_a_hostile_header_is_taken_apart_at_once():
    """Every way to part 1,000 slashes among five names was tried: a hang of hours."""
    template = "{account}/{region}/{service_code}/{quota_code}@{context_id}"
    with clear_error(InvalidInput, "series", "must match the header"):
        wide_keys(["/" * 1000], template, {})
    (key,) = wide_keys(["1/" + "/" * 1000 + "@x@y"], template, {}).values()
    assert key == QuotaKey("1", "/", "/", "/" * 996, "x@y")


def test_a_template_with_half_a_brace():
    """It became half of a regular expression, and that a traceback."""
    (key,) = wide_keys(["us-east-1{"], "{region}{", {}).values()
    assert key.region == "us-east-1"


@pytest.mark.parametrize(
    ("bits", "kind"),
    [(0x7FF0000000000001, "u8"), (0x7F800001, "u4"), (0x7C01, "u2")],
    ids=["float64", "float32", "float16"],
)
def test_a_nan_that_signals(bits, kind):
    """It was not observed, as any other NaN: a damaged Arrow file holds one, and NumPy warned of the cast."""
    nan = np.full(40, bits, dtype=kind).view(kind.replace("u", "f"))
    usage = nan.copy()
    usage[0] = 1.5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seconds, wrong = cells.float_seconds(nan)
        assert len(wrong) == len(nan) == len(seconds)
        assert not cells.looks_like_dates(nan)
        values, bad = cells.usage_of(usage, "usage")
        assert np.isnan(numbers(nan, "usage")).all()
    assert not bad
    assert values[0] == 1.5
    assert np.isnan(values[1:]).all()


@pytest.mark.parametrize(
    "line",
    [
        '{"part": "0.0", "found": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"part": "0.0", "found": [[1' + "0" * 400 + "], [0]]}",
        '{"part": 5, "found": [[1], [2]]}',
        '{"part": "0.0", "found": 1}',
        '{"part": "0.0", "found": [[1]]}',
    ],
)
def test_a_damaged_line_of_what_tune_keeps(tmp_path, line):
    """Numbers too large and lists too deep were tracebacks, and one number was taken for all of a part."""
    with clear_error(InvalidInput, "state", "damaged in line 2"):
        state(tmp_path, line)


def test_a_part_of_what_tune_keeps_that_is_of_other_policies(tmp_path):
    kept = state(tmp_path, '{"part": "0.0", "found": [[1], [2]]}')
    with clear_error(InvalidInput, "state", "damaged", "3 policies"):
        kept.get("0.0", 3, None)
    assert kept.get("0.0", 1, None).tolist() == [[1], [2]]


def state(folder, line):
    kept = object.__new__(_State)
    kept.path, kept.head, kept.found = folder / "tune.state", {"of": "these"}, {}
    kept.path.write_text(json.dumps(kept.head) + "\n" + line + "\n")
    kept._read()
    return kept


def test_half_a_character_in_a_region_switch_plan(tmp_path):
    """It was refused as the name of a step, without the file and the line."""
    block = '{"Name": "a\\ud800", "ExecutionBlockType": "ManualApproval"}'
    plan = f'{{"Name": "shop",\n"Workflows": [{{"WorkflowTargetAction": "activate", "Steps": [\n{block}]}}]}}'
    path = tmp_path / "plan.json"
    path.write_text(plan)
    with clear_error(InvalidInput, "plan.json, line 3: Name", "must be valid Unicode", "a\\ud800"):
        read_runbook(path)
