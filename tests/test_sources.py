"""Files, pipes, streams: what a source is, is told by its content, and it is read once."""

import bz2
import gzip
import io
import itertools
import lzma
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile

import numpy as np
import pytest

from clear import clear_error
from surgetank import History, InvalidInput, Store, StoreError
from surgetank.history import csvfile, source, spool
from surgetank.history.readers import headers_of, read_samples
from test_cli import USAGE, here, run, usage_rows, write
from test_import import FORMATS, as_csv, as_prometheus

__all__ = ["here", "run"]  # fixtures

ROWS = [("a", 0, 1.0), ("a", 300, 2.0), ("b", 0, 3.0)]


def values(samples):
    return {key.region: samples.series(n)[1].tolist() for n, key in enumerate(samples.keys)}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", ["usage.csv", "usage.json", "usage.parquet", "usage"])
def test_the_name_of_a_file_says_nothing(tmp_path, kind, name):
    path = tmp_path / name
    path.write_bytes(FORMATS[kind](ROWS))
    assert values(read_samples(path)) == {"a": [1, 2], "b": [3]}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_stream_that_gives_a_byte_at_a_time(kind):
    class Slow(io.BytesIO):
        def read(self, size=-1):
            return super().read(1)

    assert values(read_samples(Slow(FORMATS[kind](ROWS)))) == {"a": [1, 2], "b": [3]}


@pytest.mark.parametrize("kind", FORMATS)
def test_a_named_pipe_is_read_as_it_is_written(tmp_path, kind):
    path, content = tmp_path / "pipe", FORMATS[kind](ROWS)
    os.mkfifo(path)

    def write():
        time.sleep(0.2)  # whoever writes may come later than whoever reads
        with path.open("wb") as pipe:
            pipe.write(content)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert values(read_samples(path)) == {"a": [1, 2], "b": [3]}
    finally:
        writer.join()


def test_a_pipe_that_nobody_writes_to_is_an_error_in_time(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "_NO_WRITER_S", 0.2)
    os.mkfifo(tmp_path / "pipe")
    with clear_error(InvalidInput, "source", "somebody writes to", "pipe"):
        read_samples(tmp_path / "pipe")


@pytest.mark.parametrize("kind", ["csv", "prometheus", "gzip"])
def test_standard_input(here, kind):
    done = subprocess.run(
        [sys.executable, "-m", "surgetank.cli", "import", "-", "--json"],
        input=FORMATS[kind](ROWS), capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b'"source": "standard input"' in done.stdout
    with Store("surgetank.db") as store:
        assert values(store.samples()) == {"a": [1, 2], "b": [3]}


def test_standard_input_is_read_once(here, run):
    code, _, err = run("import", "-", "-")
    assert code == 3
    assert "only once" in err


def test_headers_are_known_of_files_with_columns(tmp_path):
    (tmp_path / "a.csv").write_bytes(as_csv(ROWS))
    (tmp_path / "a.json").write_bytes(as_prometheus(ROWS))
    assert headers_of(tmp_path / "a.csv") == ["timestamp", "region", "usage"]
    assert headers_of(tmp_path / "a.json") is None
    assert headers_of("-") is None


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (bz2.compress(as_csv(ROWS)), "bzip2"),
        (lzma.compress(as_csv(ROWS)), "xz"),
        (b"\x28\xb5\x2f\xfd" + bytes(100), "zstd"),
        (b"\xd0\xcf\x11\xe0" + bytes(100), "spreadsheet"),
        (b"SQLite format 3\0" + bytes(100), "--store"),
        (b"%PDF-1.4\n" + bytes(100), "PDF"),
        (b"\x89PNG\r\n\x1a\n", "picture"),
        (gzip.compress(gzip.compress(as_csv(ROWS))), "once"),
        (gzip.compress(as_csv(ROWS))[:-12], "whole gzip"),
        (gzip.compress(b""), "empty"),
        (b"PAR1" + bytes(50), "whole Parquet"),
        (b"ARROW1\0\0" + bytes(50), "whole Arrow"),
        (b"\xff\xff\xff\xff" + bytes(50), ""),
        (b"\0" * 5000, ""),
        (bytes(range(256)) * 20, ""),
    ],
    ids=itertools.count(),
)
def test_what_is_not_read_is_named(content, word):
    if content.startswith((b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")):
        pytest.importorskip("pyarrow")
    with clear_error(InvalidInput, "source", word):
        read_samples(io.BytesIO(content))


def test_a_spreadsheet_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "usage.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    with clear_error(InvalidInput, "source", "save it as CSV", "usage.xlsx"):
        read_samples(tmp_path / "usage.xlsx")


def test_arrow_files_and_streams():
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"timestamp": [0, 300, 0], "region": ["a", "a", "b"], "usage": [1.0, 2.0, 3.0]})
    for new in (pa.ipc.new_file, pa.ipc.new_stream):
        file = io.BytesIO()
        with new(file, table.schema) as writer:
            writer.write_table(table)
        for content in (file.getvalue(), gzip.compress(file.getvalue())):
            samples = read_samples(io.BytesIO(content))
            assert values(samples) == {"a": [1, 2], "b": [3]}
            assert samples.report.format.startswith("Arrow")


def test_an_arrow_stream_is_read_batch_by_batch():
    pa = pytest.importorskip("pyarrow")
    schema = pa.schema({"timestamp": pa.int64(), "usage": pa.float64()})
    alive = []

    def batches():
        for n in range(20):
            alive.append(pa.total_allocated_bytes())
            times = pa.array(np.arange(n * 50_000, (n + 1) * 50_000))
            yield pa.record_batch([times, pa.array(np.ones(50_000))], schema=schema)

    samples = read_samples(pa.RecordBatchReader.from_batches(schema, batches()))
    assert len(samples) == 1_000_000
    assert max(alive) - alive[0] < 4 * 800_000  # some batches of 800 kB, and not all twenty


@pytest.mark.parametrize("text", [io.StringIO("timestamp,usage\n0,1\n")])
def test_a_file_opened_as_text_is_refused(text):
    with clear_error(InvalidInput, "source", "binary"):
        read_samples(text)


@pytest.mark.parametrize("got", ["text", 5, b"more than was asked for" * 10_000])
def test_a_stream_that_is_none(got):
    class Odd:
        def read(self, size):
            return got

    with clear_error(InvalidInput, "source", "readable"):
        read_samples(Odd())


def test_a_file_that_fails_in_the_middle():
    class Broken(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 100_000:
                raise OSError(5, "Input/output error")
            return super().read(size)

    with clear_error(InvalidInput, "source", "Input/output error"):
        read_samples(Broken(as_csv([("a", 60 * i, 1.0) for i in range(20_000)])))


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null"])
def test_a_device_is_refused(path):
    if not os.path.exists(path):
        pytest.skip(f"no {path} here")
    with clear_error(InvalidInput, "source", "device"):
        read_samples(path)


# Size.


def test_a_line_without_end_is_refused_before_it_fills_the_memory(monkeypatch):
    monkeypatch.setattr(csvfile, "LONGEST_LINE", 3 << 20)
    for start in (b"", b"timestamp,usage\n0,1\n"):
        with clear_error(InvalidInput, "stream", "characters at most"):
            read_samples(io.BytesIO(gzip.compress(start + b"a" * (20 << 20))))


def test_a_quote_that_is_never_closed_costs_its_lines_and_not_the_file(monkeypatch):
    text = 'timestamp,usage\n0,1\n60,"2\n' + "".join(f"{120 + 60 * i},3\n" for i in range(40_000))
    report = read_samples(io.BytesIO(text.encode()), bad="skip").report
    assert report.rows == 40_002
    assert report.rows == report.added + report.not_understood
    assert "line 3: must be whole CSV" in report.first_bad[0]


def test_ten_thousand_columns_in_a_moment():
    header = "timestamp," + ",".join(f"r{i}" for i in range(10_000))
    rows = "".join(f"{60 * t}," + ",".join(str(i % 7) for i in range(10_000)) + "\n" for t in range(3))
    history = History.read(io.BytesIO(f"{header}\n{rows}".encode()), service_code="ec2")
    assert history.usage.shape == (3, 10_000)
    assert (history.usage == np.arange(10_000) % 7).all()


def test_memory_is_that_of_a_run_and_not_of_the_source(monkeypatch):
    """Runs of a tenth of the rows: more of them cost no more."""
    monkeypatch.setattr(spool, "RUN_ROWS", 20_000)
    monkeypatch.setattr(spool, "MEMORY_ROWS", 20_000)
    monkeypatch.setattr("surgetank.history.layout._MOST_KNOWN", 1_000)
    monkeypatch.setattr(csvfile, "BLOCK", 1 << 16)
    tracemalloc = pytest.importorskip("tracemalloc")

    def peak(rows):
        class Rows(io.RawIOBase):
            """Written as they are read."""

            def __init__(self):
                self.at, self.text = 0, b"timestamp,region,usage\n"

            def readable(self):
                return True

            def read(self, size):
                while len(self.text) < size and self.at < rows:
                    self.text += b"%d,r%d,1\n" % (60 * (self.at // 10), self.at % 10)
                    self.at += 1
                given, self.text = self.text[:size], self.text[size:]
                return given

        tracemalloc.start()
        try:
            assert len(read_samples(Rows())) == rows
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1_000)
    assert peak(160_000) < 1.5 * peak(40_000)


def test_a_temporary_folder_without_room_is_one_error_and_nothing_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(spool, "RUN_ROWS", 10)
    monkeypatch.setattr(spool, "MEMORY_ROWS", 10)
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: open("/dev/full", "wb", buffering=0))  # noqa: SIM115
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with Store(tmp_path / "x.db", create=True) as store:
        with clear_error(StoreError, "temporary files", "No space left", "nothing was changed", "TMPDIR"):
            store.import_usage(io.BytesIO(as_csv([("a", 60 * i, 1.0) for i in range(100)])))
        assert not store.keys_with_usage()


# Interrupted.


@pytest.mark.parametrize("wait_s", [0.05, 0.3, 0.6])
def test_ctrl_c_leaves_nothing_half_done(here, wait_s):
    rows = [row for n in range(100) for row in usage_rows(f"r{n}", n + 1, hours=700)]
    write(here / "u.csv", USAGE, *rows)
    started = subprocess.Popen(
        [sys.executable, "-m", "surgetank.cli", "import", "u.csv"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    time.sleep(wait_s)
    started.send_signal(signal.SIGINT)
    _, err = started.communicate(timeout=60)
    if (here / "surgetank.db").exists():
        with Store("surgetank.db") as store:
            kept = len(store.keys_with_usage())
        # Interrupted between the end of the import and its own, it is there all the same: all of it.
        assert kept in ((100,) if started.returncode == 0 else (0, 100))
    if b"Traceback" not in err:  # before there was a program to interrupt, it is Python's own
        assert started.returncode in (0, 130, -signal.SIGINT)
    assert {path.name for path in here.iterdir()} <= {"u.csv", "surgetank.db"}


def test_a_stream_that_has_nothing_yet_is_asked_again(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)

    class Waiting(io.BytesIO):
        asked = 0

        def read(self, size=-1):
            self.asked += 1
            return None if self.asked % 3000 else super().read(size)

    assert values(read_samples(Waiting(as_csv(ROWS)))) == {"a": [1, 2], "b": [3]}


def test_progress_of_parquet_is_in_bytes_too(tmp_path):
    seen = []
    path = tmp_path / "usage.parquet"
    path.write_bytes(FORMATS["parquet"](ROWS * 1000))
    read_samples(path, progress=lambda *at: seen.append(at))
    assert {total for _, total in seen} == {path.stat().st_size}
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize("name", ["fleet.csv", "fleet.json.gz", "fleet.csv.gz", "fleet"])
def test_the_service_is_the_name_of_the_file_without_its_endings(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(as_csv(ROWS))
    assert {key.service_code for key in read_samples(path).keys} == {name.removesuffix(".gz").split(".")[0]}
