"""Targets: single cells, which are instants, numbers and names, and headers that a template takes apart."""

import datetime as dt
import math
import zoneinfo

import numpy as np

from surgetank._bridge import zone
from surgetank.history.arrowtext import TextColumn
from surgetank.history.cells import BadCell, comes_twice, number_in, parse_instant, texts, usage_of
from surgetank.history.keys import KEY_FIELDS, QuotaKey
from surgetank.history.layout import distinct, wide_keys
from surgetank.history.naming import Naming

from . import twins
from .checks import answer
from .draws import Draws

TZ = (None, "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia")


def instants(data):
    """A cell of time in a zone, which the first byte chooses."""
    tz = TZ[data[0] % len(TZ)] if data else None
    text = data[1:].decode("utf-8", "replace")
    second, error = answer(lambda: parse_instant(text, zone(tz)))
    twice = comes_twice(text, zone(tz))
    told = twins.instant(text, tz)
    if told == twins.BAD:
        assert error is not None, (text, second)
    elif told != twins.UNSURE:
        assert error is None, error
        assert second == told, (text, second, told)
    if second is None:
        return
    assert type(second) is int
    assert abs(second) < 1e12
    padded = parse_instant(f" {text}\t", zone(tz))
    assert padded == second
    if -6.2e10 < second < 2.5e11:
        moment = dt.datetime.fromtimestamp(second, dt.timezone.utc)
        assert parse_instant(moment, None) == second
        assert parse_instant(moment.isoformat(), zone(tz)) == second
        if tz is not None:
            local = moment.astimezone(zoneinfo.ZoneInfo(tz)).replace(tzinfo=None)
            naive, _ = answer(lambda: parse_instant(local.isoformat(), zone(tz)))
            assert naive is not None
            assert naive == second or (comes_twice(local.isoformat(), zone(tz)) and 0 < abs(second - naive) <= 86_400)
    assert twice in (True, False)


def numbers(data):
    """Cells of usage, one in each line: alone and as a column they are the same."""
    cells = tuple(data.decode("utf-8", "replace").split("\n"))
    values, bad = usage_of(cells, "usage")
    assert len(values) == len(cells)
    for row, cell in enumerate(cells):
        told = twins.number(cell) if "_" not in cell else twins.BAD
        try:
            alone = number_in(row, cell, "usage")
        except BadCell as wrong:
            answer(lambda wrong=wrong: _raise(wrong))
            assert row in bad
            alone = math.nan
        assert (row in bad) == bool(row in bad and np.isnan(values[row]))
        if math.isinf(alone):
            assert bad[row].out_of_range
        elif row not in bad:
            assert np.array_equal(values[row], alone, equal_nan=True)
        if told == twins.MISSING:
            assert np.isnan(values[row])
            assert row not in bad
        elif told in (twins.BAD, twins.RANGE):
            assert row in bad, cell
            assert bad[row].out_of_range == (told == twins.RANGE)
        elif told != twins.UNSURE:
            assert values[row] == told, cell
    names = texts(cells)
    assert list(names) == [twins.name_of(cell) for cell in cells]
    _as_arrow(cells, values, bad)


def _as_arrow(cells, values, bad):
    """The same cells in Arrow's memory are the same numbers and names."""
    try:
        import pyarrow as pa
    except ImportError:
        return
    column = TextColumn(pa.array(cells, pa.string()))
    again, wrong = usage_of(column, "usage")
    assert again.tobytes() == values.tobytes() or np.array_equal(again, values, equal_nan=True)
    assert {row: (one.rule, str(one.value), one.out_of_range) for row, one in wrong.items()} == {
        row: (one.rule, str(one.value), one.out_of_range) for row, one in bad.items()
    }
    for columns in ([column], [column, TextColumn(pa.array(cells[::-1], pa.string()))]):
        words, index = distinct(columns)
        plain, other = distinct([tuple(one) for one in columns])
        assert words == plain
        assert index.tolist() == other.tolist()


def _raise(wrong):
    raise wrong.at("a.csv, line 1")


TEMPLATES = (
    "{region}.{service_code}",
    "{region}",
    "{account}/{region}/{service_code}/{quota_code}@{context_id}",
    "{service_code}-{region}",
    "x{region}y{service_code}z",
    "{quota_code}{region}",
)


def headers(data):
    """Headers, one in each line, and a template: the first line where the first byte says so, else one of ours."""
    kind, text = (data[0] if data else 0), data[1:].decode("utf-8", "replace")
    names = text.split("\n")
    template = TEMPLATES[kind % len(TEMPLATES)]
    if kind >= 128:
        template, names = names[0], names[1:]
    names = list(dict.fromkeys(names))
    found, error = answer(lambda: wide_keys(names, template, {}))
    if found is None:
        if kind < 128:
            split = [twins.split_header(name, template) if len(name) <= 40 else None for name in names]
            same = len({tuple(sorted(one.items())) for one in split if one}) < len(names)
            assert None in split or same, error
        return
    assert list(found) == names
    assert len(set(found.values())) == len(names)
    for name, key in found.items():
        assert isinstance(key, QuotaKey)
        assert template.format_map({f: getattr(key, f) for f in KEY_FIELDS}) == name or "{" in template.replace(
            "{region}", ""
        ).replace("{service_code}", "").replace("{quota_code}", "").replace("{account}", "").replace("{context_id}", "")
        if kind < 128 and len(name) <= 40:
            parts = twins.split_header(name, template)
            assert {f: getattr(key, f) for f in parts} == parts
        assert key.matches(key.quota_name) or any(c in "*?[" for c in key.quota_name)
        assert str(key)


def labels(data):
    """Labels of series, drawn from few: no two that differ are called the same, and the same ones are."""
    draws = Draws(data)
    names = ("__name__", "region", "aws_region", "service", "Quota-Code", "instance", "id", "label", "account_id")
    values = ("us-east-1", "us-west-2", "ec2", "", " ec2 ", "a.b", "日本", "\x1b[31m", "-", "nan")
    columns = draws.pick((None, {"quota_code": "instance"}, {"region": "instance"}, {"context_id": "id"}))
    fixed = draws.pick(({}, {"region": "us-east-1"}, {"service_code": "ec2"}, {"account": "1"}))
    series = draws.pick((None, "{region}.{service_code}", "{service_code}"))
    naming, error = answer(lambda: Naming(columns, fixed, series, draws.pick(("", "fleet"))))
    if error is not None:
        return
    known = {}
    for _ in range(1 + draws.below(6)):
        said = {draws.pick(names): draws.pick(values) for _ in range(draws.below(5))}
        key, error = answer(lambda said=said: naming.key(said))
        if error is not None:
            continue
        stated = {name: text.strip() for name, text in said.items() if text.strip()}
        assert known.setdefault(key, stated) == stated
        assert naming.key(dict(reversed(said.items()))) == key
    assert isinstance(naming.described, dict)
    assert isinstance(naming.ignored, tuple)
