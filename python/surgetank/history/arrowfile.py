"""Parquet and Arrow files, streams and frames in batches: instants with a zone as UTC, the rest as NumPy columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np

from ..errors import InvalidInput, MissingExtra, invalid
from .batches import BATCH_CELLS, Batch
from .cells import Cells, Instants, Table

_BATCH_ROWS = 1 << 16


def arrow_file_batches(file: BinaryIO, kind: str, head: bytes, name: str) -> Iterator[Batch]:
    """Yield the batches of a Parquet or Arrow file; at least one, without rows for an empty table."""
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingExtra(f"{name} is a {kind} file; reading it needs: pip install 'surgetank[files]'") from error
    try:
        if kind == "Parquet":
            import pyarrow.parquet as pq

            table = pq.ParquetFile(file)
            schema = table.schema_arrow
            batches = table.iter_batches(batch_size=_rows(len(schema)))
        else:
            reader = pa.ipc.open_file(file) if head.startswith(b"ARROW1") else pa.ipc.open_stream(file)
            schema = reader.schema
            batches = (
                (reader.get_batch(i) for i in range(reader.num_record_batches))
                if hasattr(reader, "get_batch")
                else iter(reader)
            )
            batches = map(_sound, batches)
        yield from _batches(batches, schema, f"{name}, row")
    except (pa.ArrowException, OSError, ValueError, NotImplementedError, MemoryError) as error:
        if isinstance(error, InvalidInput):
            raise
        reason = str(error) or "more than the memory there is"  # a damaged length, usually
        raise invalid("source", f"must be a whole {kind} file: {reason}", name) from error


def _sound(batch: Any) -> Any:
    """Refuse a batch whose offsets lead out of its buffers: Arrow follows them into memory that is not its own."""
    batch.validate(full=True)
    return batch


def frame_batches(frame: Any) -> Iterator[Batch]:
    """Yield the batches of any frame or Arrow stream."""
    if hasattr(frame, "iloc") or hasattr(frame, "get_column"):  # pandas and polars, without importing them
        columns = _pandas(frame) if hasattr(frame, "iloc") else _polars(frame)
        yield from _slices(_by_name(columns))
        return
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingExtra("reading an Arrow stream needs: pip install 'surgetank[files]'") from error
    try:
        if hasattr(frame, "__arrow_c_stream__") and not isinstance(frame, pa.Table):
            reader = pa.RecordBatchReader.from_stream(frame)  # batch by batch, however long it is
            schema, batches = reader.schema, iter(reader)
        else:
            table = frame if isinstance(frame, pa.Table) else pa.table(frame)
            schema, batches = table.schema, iter(table.to_batches(max_chunksize=_rows(table.num_columns)))
        yield from _batches(batches, schema, "row")
    except InvalidInput:
        raise
    except Exception as error:  # whatever the stream's producer raises
        raise invalid("source", f"must be a stream of Arrow tables: {error}", type(frame).__name__) from error


def _rows(width: int) -> int:
    return max(1, min(_BATCH_ROWS, BATCH_CELLS // max(width, 1)))


def _batches(batches: Iterable[Any], schema: Any, where: str) -> Iterator[Batch]:
    done = 0
    for batch in batches:
        most = _rows(batch.num_columns)
        for start in range(0, batch.num_rows, most):
            part = batch.slice(start, most)
            columns = _by_name(zip(schema.names, map(_arrow_column, _columns(part, schema)), strict=True))
            yield _batch(columns, where, done)
            done += part.num_rows
    if not done:
        yield _batch(_by_name((name, ()) for name in schema.names), where, 0)


def _columns(batch: Any, schema: Any) -> list[Any]:
    def column(number: int) -> Any:
        try:
            return batch.column(number)
        except KeyError:  # Arrow has such a type, and pyarrow no class for it
            field = schema.field(number)
            raise invalid(f"column {field.name}", "must be of a type that pyarrow reads", str(field.type)) from None

    return [column(number) for number in range(len(schema))]


def _batch(columns: Table, where: str, before: int) -> Batch:
    return Batch(columns, lambda row: f"{where} {before + row}")


def _slices(columns: Table) -> Iterator[Batch]:
    rows = len(next(iter(columns.values()))) if columns else 0
    most = _rows(len(columns))
    for start in range(0, max(rows, 1), most):
        yield _batch({name: column[start : start + most] for name, column in columns.items()}, "row", start)


def _pandas(frame: Any) -> Iterator[tuple[str, Cells]]:
    if frame.index.nlevels > 1:  # its levels tell rows apart as columns do
        try:
            frame = frame.reset_index()
        except ValueError as error:
            raise invalid("columns", f"must have other names than the levels of the index: {error}", "both") from error
    named = str(frame.index.name or "timestamp")
    if named not in map(str, frame.columns) and (frame.index.name is not None or frame.index.dtype.kind == "M"):
        yield named, _pandas_column(frame.index.to_series())
    for i, name in enumerate(frame.columns):
        yield str(name), _pandas_column(frame.iloc[:, i])


def _pandas_column(column: Any) -> Cells:
    if getattr(column.dtype, "tz", None) is not None:
        return _aware(column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy())
    return column.to_numpy()  # type: ignore[no-any-return]


def _polars(frame: Any) -> Iterator[tuple[str, Cells]]:
    for name in frame.columns:
        column = frame.get_column(name)
        values = column.to_numpy()
        yield name, _aware(values) if getattr(column.dtype, "time_zone", None) else values


def _arrow_column(column: Any) -> Cells:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()  # which keeps the zone
    if pa.types.is_integer(column.type) and column.null_count:
        return column.to_pylist()  # type: ignore[no-any-return]  # floats would round nanoseconds
    values = column.to_numpy(zero_copy_only=False)
    return _aware(values) if getattr(column.type, "tz", None) else values


def _by_name(columns: Iterable[tuple[str, Cells]]) -> Table:
    result: dict[str, Cells] = {}
    for name, column in columns:
        if name in result:
            raise invalid("columns", "must have different names", name)
        result[name] = column
    return result


def _aware(values: Any) -> Cells:
    """UTC instants as epoch seconds, so that no zone is asked for; a list with None where one is missing."""
    seconds = np.asarray(values).astype("datetime64[s]").astype(np.int64)
    missing = np.isnat(values)
    if missing.any():
        return [None if gone else second for gone, second in zip(missing.tolist(), seconds.tolist(), strict=True)]
    return Instants(seconds)
