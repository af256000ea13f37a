"""Results that present themselves: columns → text, HTML, pandas, Arrow.

A result says which columns it has (`_columns`); everything a reader sees or exports comes from those.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._aws import without_accounts
from .errors import MissingExtra

STATUS_STYLES = {"CRITICAL": "bold red", "WARNING": "yellow", "OK": "green", "UNKNOWN": "magenta"}
STATUS_STYLES |= {"failed": "bold red", "warning": "yellow", "passed": "green"}
#: Whether account ids are shown in full: of what the command line prints, their last four digits are.
_WHOLE_ACCOUNTS = ContextVar("whole accounts", default=True)
GAP = 3  # blanks between two columns of a text table
_STATUS_CSS = {"CRITICAL": "#b00020", "WARNING": "#8a6100", "OK": "#1b6e2e", "UNKNOWN": "#6a3d9a"}
_STATUS_CSS |= {"failed": "#b00020", "warning": "#8a6100", "passed": "#1b6e2e"}


def quantity(value: float) -> str:
    """A number for a person: thousands separated, four significant digits below 1,000."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size >= 1e15 or 0 < size < 1e-4:
        text = f"{value:.3g}"
    elif size >= 1000:
        text = f"{value:,.0f}"
    else:
        text = f"{value:.4g}"
    return text.replace("-", "−") if text.startswith("-") else text


def at_least(value: float) -> str:
    """A number for a person that is not below ``value``: rounded up to what `quantity` shows."""
    if not math.isfinite(value) or value <= 0:
        return quantity(value)
    step = 10.0 ** max(-12, math.floor(math.log10(value)) - 3) if value < 1000 else 1.0
    return quantity(math.ceil(value / step * (1 - 1e-12)) * step if value < 1e15 else value)


def percent(fraction: float) -> str:
    """A fraction as per cent, without decimals from 10 % on."""
    if not math.isfinite(fraction):
        return quantity(fraction)
    value = 100 * fraction
    text = f"{value:,.0f}%" if abs(value) >= 9.95 or value == 0 else f"{value:.2g}%"
    return text.replace("-", "−")


def probability(fraction: float) -> str:
    """A probability as per cent, with as many decimals as it takes to tell it from certainty."""
    missing = 1 - fraction
    if not 0 < missing < 0.1:
        return percent(fraction)
    if missing < 1e-4:
        return "more than 99.99%"
    decimals = max(0, -math.floor(math.log10(missing)) - 1)
    return f"{100 * fraction:.{decimals}f}%"


def span(seconds: float) -> str:
    """A duration for a person: the two largest units, such as "3 h 20 min"."""
    if not math.isfinite(seconds):
        return quantity(seconds)
    if 0 < seconds < 9.95 and (text := f"{seconds:.2g}") not in (f"{round(seconds)}", "10"):
        return f"{text} s"
    rest = round(seconds)
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


@dataclass(frozen=True)
class Column:
    """One column: its machine name, its values, and how a person sees it."""

    name: str  # the same word as the field, in pandas, Arrow and JSON
    values: Sequence[Any] | NDArray[Any]
    header: str = ""  # what a person reads; empty: exported, not shown
    show: Callable[[Any], str] = str
    numeric: bool = True
    priority: int = 0  # 0 stays on the narrowest terminal; higher numbers leave first


class Tabular:
    """Mixin for results: subclasses give `_columns()` and may give `_caption()` and `_notes()`."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Unpickle; NumPy forgets that arrays were read-only."""
        self.__dict__.update(state)
        freeze(state)

    def _columns(self) -> list[Column]:
        raise NotImplementedError

    def _caption(self) -> str:
        """Give the line above the table."""
        return ""

    def _notes(self) -> list[str]:
        """Give the sentences below the table."""
        return []

    def table(self, width: int | None = None, *, color: bool = False) -> str:
        """Text table that fits ``width`` columns (default: the terminal's; 160 into a pipe)."""
        import shutil

        return render_text(self, width or shutil.get_terminal_size((160, 24)).columns, color=color)

    def __str__(self) -> str:
        """Give the text table."""
        return self.table()

    def __repr__(self) -> str:
        """Give the text table, in a shell as well."""
        return self.table()

    def _repr_html_(self) -> str:
        return render_html(self)

    def to_records(self) -> list[dict[str, Any]]:
        """Give one dictionary per row, ready for JSON: unknown numbers are None, unbounded ones "Infinity"."""
        columns = self._columns()
        rows = zip(*(c.values for c in columns), strict=True)
        return [{c.name: for_json(v) for c, v in zip(columns, row, strict=True)} for row in rows]

    def to_pandas(self) -> Any:
        """Give a pandas DataFrame, one row per row of the table."""
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingExtra("to_pandas needs pandas: pip install pandas") from error
        return pd.DataFrame({c.name: _typed(c) for c in self._columns()})

    def to_arrow(self) -> Any:
        """Give a pyarrow Table, one row per row of the table."""
        try:
            import pyarrow as pa
        except ImportError as error:
            raise MissingExtra("to_arrow needs pyarrow: pip install 'surgetank[files]'") from error
        return pa.table({c.name: pa.array(_typed(c)) for c in self._columns()})

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Arrow's C stream capsule, so that polars, DuckDB, pandas and pyarrow read the table."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)


def freeze(value: Any) -> None:
    """Make arrays read-only, in a dict of them too."""
    if isinstance(value, np.ndarray):
        value.setflags(write=False)
    elif isinstance(value, dict):
        for inner in value.values():
            freeze(inner)


def plain(value: Any) -> Any:
    """A Python value of a NumPy scalar; everything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def for_person(value: Any) -> str:
    """An instant with its zone; anything else as it is."""
    return f"{value}Z" if isinstance(value, np.datetime64) else str(value)


def for_json(value: Any) -> Any:
    """A value every JSON parser reads: NaN is null, infinity a text, an instant ISO 8601 UTC."""
    if isinstance(value, np.datetime64):
        return f"{value}Z"
    value = plain(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _typed(column: Column) -> Any:
    if column.numeric:
        return np.asarray(column.values)
    return [plain(v) for v in column.values]


def _shown(result: Tabular) -> list[Column]:
    return [c for c in result._columns() if c.header]


def render_text(result: Tabular, width: int, *, color: bool = False) -> str:
    """Caption, table and notes, none wider than ``width``: the least important columns leave first."""
    from rich.cells import cell_len
    from rich.console import Console

    out = io.StringIO()
    color = color and "NO_COLOR" not in os.environ
    console = Console(
        file=out,
        width=width,
        force_terminal=color,
        force_jupyter=False,
        no_color=not color,
        highlight=False,
        emoji=False,
    )  # fmt: skip  (in a notebook rich would show each line itself instead)
    if caption := result._caption():
        console.print(for_terminal(caption), markup=False)
    columns = _shown(result)
    headers = [c.header for c in columns]
    cells = {
        c.name: [for_terminal(c.show(v)).replace("\n", "\N{REPLACEMENT CHARACTER}") for v in c.values] for c in columns
    }
    widths = {c.name: max(map(cell_len, (c.header, *cells[c.name]))) + GAP for c in columns}
    while sum(widths[c.name] for c in columns) - GAP > width and any(c.priority for c in columns):
        least = max(c.priority for c in columns)
        columns.remove(next(c for c in reversed(columns) if c.priority == least))
    console.print(_rich_table(columns, cells))
    if left_out := [h for h in headers if h not in {c.header for c in columns}]:
        console.print(f"(too narrow for: {', '.join(left_out)})", markup=False)
    notes = result._notes()
    if notes:
        console.print()
    for note in notes:
        console.print(for_terminal(note), markup=False)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _rich_table(columns: list[Column], cells: dict[str, list[str]]) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        # Numbers are never folded or cut: a shortened number is a wrong number.
        justify: Any = "right" if column.numeric else "left"
        table.add_column(column.header, justify=justify, no_wrap=column.numeric, overflow="fold")
    for row in zip(*(cells[c.name] for c in columns), strict=True):
        table.add_row(*(Text(cell, style=STATUS_STYLES.get(cell, "")) for cell in row))
    return table


def render_columns(columns: Sequence[tuple[str, Sequence[str], bool]]) -> str:
    """Plain text columns of header, cells and whether they are numbers, for a paragraph with a small table in it."""
    from rich.cells import cell_len

    lines = [""] * (1 + max((len(cells) for _, cells, _ in columns), default=0))
    for header, cells, numeric in columns:
        shown = [for_terminal(text).replace("\n", " ") for text in (header, *cells)]
        width = max(map(cell_len, shown))
        for n, text in enumerate(shown):
            blank = " " * (width - cell_len(text))
            lines[n] += f"{blank}{text}  " if numeric else f"{text}{blank}  "
    return "\n".join(line.rstrip() for line in lines)


def for_terminal(text: str) -> str:
    """Names come from files: of control characters only our own line breaks may reach a terminal."""
    shown = "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
    return shown if _WHOLE_ACCOUNTS.get() else without_accounts(shown, moments=True)


@contextlib.contextmanager
def accounts_shown(whole: bool) -> Iterator[None]:
    """Whether text for people has account ids in full in it, as in Python, or their last four digits."""
    before = _WHOLE_ACCOUNTS.set(whole)
    try:
        yield
    finally:
        _WHOLE_ACCOUNTS.reset(before)


def render_html(result: Tabular) -> str:
    """Give the same table for a notebook: plain HTML, everything escaped."""
    import html

    columns = _shown(result)
    align = ["right" if c.numeric else "left" for c in columns]
    parts = ['<div class="surgetank">']
    if caption := result._caption():
        parts.append(f"<p>{html.escape(for_terminal(caption))}</p>")
    parts.append("<table><thead><tr>")
    parts += [
        f'<th style="text-align:{a};padding:.2em .5em">{html.escape(c.header)}</th>'
        for a, c in zip(align, columns, strict=True)
    ]
    parts.append("</tr></thead><tbody>")
    for row in zip(*(c.values for c in columns), strict=True):
        parts.append("<tr>")
        for a, column, value in zip(align, columns, row, strict=True):
            cell = for_terminal(column.show(value))
            tint = f";color:{_STATUS_CSS[cell]};font-weight:bold" if cell in _STATUS_CSS else ""
            style = f"text-align:{a};white-space:nowrap;padding:.2em .5em{tint}"
            parts.append(f'<td style="{style}">{html.escape(cell)}</td>')
        parts.append("</tr>")
    parts.append("</tbody></table>")
    if notes := result._notes():
        parts.append("<ul>" + "".join(f"<li>{html.escape(for_terminal(n))}</li>" for n in notes) + "</ul>")
    parts.append("</div>")
    return "".join(parts)
