"""Others who read a CSV of usage, each as a good user of that library would call it."""

import csv
import sqlite3

import duckdb
import pandas as pd
import polars as pl
from pyarrow import csv as arrow_csv


def by_pandas(path):
    return pd.read_csv(path, parse_dates=["timestamp"])


def by_pandas_arrow(path):
    return pd.read_csv(path, parse_dates=["timestamp"], engine="pyarrow")


def by_polars(path):
    return pl.read_csv(path, try_parse_dates=True)


def by_duckdb(path):
    with duckdb.connect() as connection:
        return connection.sql(f"SELECT * FROM read_csv('{path}')").to_arrow_table()


def by_pyarrow(path):
    return arrow_csv.read_csv(path)


PEERS = {
    "pandas": by_pandas,
    "pandas, pyarrow": by_pandas_arrow,
    "polars": by_polars,
    "DuckDB": by_duckdb,
    "pyarrow.csv": by_pyarrow,
}


def total(table):
    """The sum of the usage of any of these tables."""
    column = table["usage"]
    return float(column.sum()) if hasattr(column, "sum") else float(sum(column.to_pylist()))


def executemany(path, store):
    """A table of rows with a key, as one would write it without more ado; samples of one instant once."""
    store.unlink(missing_ok=True)
    with sqlite3.connect(store) as db, open(path, newline="", encoding="utf-8") as file:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(
            "CREATE TABLE usage (region TEXT, service TEXT, time TEXT, value REAL, "
            "PRIMARY KEY (region, service, time)) WITHOUT ROWID"
        )
        rows = csv.reader(file)
        next(rows)
        db.executemany("INSERT OR IGNORE INTO usage VALUES (?, ?, ?, ?)", ((r, s, t, float(u)) for t, r, s, u in rows))
    db.close()
