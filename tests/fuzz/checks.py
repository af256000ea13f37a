"""What must hold of every answer of a reader, whatever it was given."""

import atexit
import contextlib
import functools
import json
import tempfile
from pathlib import Path

import numpy as np

from surgetank._table import for_terminal
from surgetank.errors import SurgetankError
from surgetank.history import arrowfile, arrowtext, csvfile, documents, jsonevents, jsonquotas, spool
from surgetank.history.readers import read

#: What is wrong with bytes rather than with what they say is told of the block in which it is found.
OF_A_BLOCK = ("codec", "line 1: must be whole CSV", "must be JSON", "must be text in UTF", "half a character")
COUNTS = ("added", "duplicates", "conflicts", "missing", "out_of_range", "not_understood")


def answer(call):
    """(what a call gives, None) or (None, the one clear error that is allowed)."""
    try:
        return call(), None
    except SurgetankError as error:
        clear(error)
        return None, error


def clear(error):
    """One printable line, not too long, and a report that adds up if there is one."""
    text = str(error)
    assert text.isprintable(), f"not printable: {text!r}"
    assert 0 < len(text) < 2000, f"{len(text)} characters: {text[:3000]}"
    report = getattr(error, "report", None)
    if report is not None:
        shown(report)
        left_out = report.not_understood + report.out_of_range
        assert left_out > 0
        assert report.added == 0
        assert left_out + report.missing <= report.rows


def shown(report):
    """A report is printed on terminals and as JSON: names in it come from files."""
    text = for_terminal(str(report))
    assert all(line.isprintable() for line in text.split("\n")), repr(text)
    json.dumps(report.to_dict()).encode()


def adds_up(report):
    assert report.rows == sum(getattr(report, name) for name in COUNTS), report
    assert min(getattr(report, name) for name in COUNTS) >= 0, report


def check_samples(found, negative="refuse"):
    """Every row counted once, in total and for each series; what is kept is in order, finite and 0 or more."""
    report = found.report
    adds_up(report)
    shown(report)
    assert report.added == len(found) == len(found.time_s)
    assert report.series == len(found.keys) == len(report.per_series) == len(set(found.keys))
    broken = report.rows - sum(one.rows for one in report.per_series)
    for name in COUNTS:
        in_series = sum(getattr(one, name) for one in report.per_series)
        assert getattr(report, name) == in_series + (broken if name == "not_understood" else 0), (name, report)
    for number, (key, one) in enumerate(zip(found.keys, report.per_series, strict=True)):
        adds_up(one)
        assert str(key) == one.series
        assert all(isinstance(part, str) for part in key)
        time_s, value = found.series(number)
        assert len(time_s) == len(value) == one.added
        assert (np.diff(time_s) > 0).all(), "instants must ascend"
        assert np.isfinite(value).all()
        assert negative == "keep" or not np.signbit(value).any()
        if len(time_s):
            assert one.first == f"{np.datetime64(int(time_s[0]), 's')}Z"
            assert one.last == f"{np.datetime64(int(time_s[-1]), 's')}Z"


def check_quotas(quotas):
    for quota in quotas:
        for value in (quota.value, quota.default_value):
            assert type(value) is float
            assert np.isnan(value) or 0 <= value < np.inf
        assert quota.adjustable in (True, False, None)
        assert quota.is_global in (True, False)


def check_found(found, negative="refuse"):
    if found.samples is not None:
        check_samples(found.samples, negative)
    check_quotas([*found.quotas, *found.defaults])
    assert all(isinstance(note, str) and note.isprintable() and len(note) < 2000 for note in found.notes)


def plain(found):
    """All of what was found, to be compared."""
    samples = found.samples
    said = None
    if samples is not None:  # the order of the series of a wide table with Regions in rows is that of its batches
        said = samples.report.to_dict()
        said["per_series"].sort(key=repr)
    return (
        None if samples is None else (as_dict(samples), dict(samples.units), said),
        [repr(quota) for quota in found.quotas],
        [repr(quota) for quota in found.defaults],
        found.notes,
    )


def as_dict(samples):
    """(key, second) → value."""
    result = {}
    for number, key in enumerate(samples.keys):
        time_s, value = samples.series(number)
        result.update({(tuple(key), t): v for t, v in zip(time_s.tolist(), value.tolist(), strict=True)})
    return result


class Trickle:
    """A pipe: a few bytes at a time, and never back."""

    def __init__(self, data, most):
        self._data, self._at, self._most = data, 0, most

    def read(self, size=-1):
        piece = self._data[self._at : self._at + (min(size, self._most) if size > 0 else self._most)]
        self._at += len(piece)
        return piece


@contextlib.contextmanager
def small_pieces(least):
    """The readers work in pieces; whatever the pieces, the answer is the same. ``least``: of the blocks of CSV."""
    sizes = [(csvfile, "BLOCK", least), (csvfile, "BATCH_ROWS", 2), (jsonevents, "CHUNK", 7)]
    sizes += [(documents, "_ROWS", 2), (jsonquotas, "BATCH", 2), (arrowfile, "_BATCH_ROWS", 2)]
    sizes += [(spool, "RUN_ROWS", 3)]
    sizes.append((arrowtext, "FAST_AFTER", least))  # from there on Arrow takes it apart instead of Python's csv
    if least % 4 == 0:  # a file in the file system takes its time
        sizes.append((spool, "MEMORY_ROWS", 5))
    known = [(module, name, getattr(module, name)) for module, name, _ in sizes]
    try:
        for module, name, size in sizes:
            setattr(module, name, size)
        yield
    finally:
        for module, name, size in known:
            setattr(module, name, size)


def read_both_ways(data, how, least=1 << 16):
    """Read bytes at once, then in pieces: both must say the same. Gives what was found, or the error."""
    found, error = answer(lambda: read(Whole(data), **how))
    with small_pieces(least):
        again, other = answer(lambda: read(Trickle(data, 5), **how))
    if error is not None:
        assert other is not None or b"\0" in data, f"refused at once, and not in pieces: {error}"
        told = b"\0" in data or any(words in str(error) for words in OF_A_BLOCK)
        assert told or str(error) == str(other), (str(error), str(other))
        return None, error
    assert other is None, f"refused only in pieces: {other}"
    check_found(found, how.get("negative", "refuse"))
    assert plain(found) == plain(again)
    return found, None


class Whole(Trickle):
    """All of it at once."""

    def __init__(self, data):
        super().__init__(data, 1 << 30)


@functools.cache
def _folder():
    folder = tempfile.TemporaryDirectory(prefix="surgetank-fuzz-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


def at_path(data, name):
    """A file of these bytes."""
    path = _folder() / name
    path.write_bytes(data)
    return path
