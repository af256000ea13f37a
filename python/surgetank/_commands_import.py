"""`surgetank import`: read every file, then store all of them or none."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ._commands import _columns, _config, _count, _fixed, _open, _place, _progress, made_now
from ._table import for_terminal
from .errors import InvalidInput, printable

if TYPE_CHECKING:
    from .history.keys import QuotaKey
    from .history.quotas import QuotaChanges
    from .history.readers import Found
    from .history.report import ImportReport

IMPORT_WAITS_S = 60.0  # for another import to end


def run_import(args: argparse.Namespace) -> int:
    from .history.keys import check_units, quotas_by_key
    from .history.places import is_there
    from .history.quotas import QuotaChanges, alone
    from .history.readers import headers_of, read

    given, fixed = _columns(args.column), _fixed(args)
    files = [(file, "either") for file in args.files] + [(file, "quotas") for file in args.quotas]
    if sum(str(file) == "-" for file, _ in files) > 1:
        raise InvalidInput("FILE: standard input can be read only once (got '-' twice)")
    headers = [headers_of(file) for file, _ in files] if given else []
    for field, header in given.items():
        if not any(there is None or header in there for there in headers):
            raise InvalidInput(f"--column: {field} is mapped to a header that no file has (got {header!r})")
    how = {name: getattr(args, name) for name in ("tz", "series", "negative", "bad")}
    found = []
    for file, holds in files:
        with _progress(f"reading {_name(file)}", of_bytes=True) as progress:
            try:
                found.append(read(file, holds=holds, columns=given, partial=True, progress=progress, **how, **fixed))
            except InvalidInput as error:
                if args.json and error.report is not None:
                    print(json.dumps({"store": None, "refused": error.report.to_dict()}, indent=2))
                raise
    quotas = quotas_by_key(quota for one in found for quota in one.quotas)
    defaults = [quota for one in found for quota in one.defaults]
    usage = [one.samples for one in found if one.samples is not None]
    for samples in usage:  # what can be judged without the store is judged before there is one
        check_units(samples.units, quotas)
    config = _config(args)
    place = _place(args, config)
    if args.dry_run and not is_there(place):
        changes = QuotaChanges(quotas, defaults, (), alone(quotas, defaults))
        _say(args, Imported(None, found, [samples.report for samples in usage], changes, set()))
        return 0
    with _open(args, config, create=True, timeout_s=IMPORT_WAITS_S) as store:

        def imported() -> Imported:
            before = store.quotas()
            if quotas or defaults:
                store.import_quotas(quotas, defaults=defaults)
            with _progress("storing") as progress:
                reports = [store.add_samples(samples, progress=progress) for samples in usage]
            after, used = store.quotas(), set(store.keys_with_usage())
            changes = QuotaChanges(quotas, defaults, before, after)
            return Imported(None if args.dry_run else str(place), found, reports, changes, used)

        made = made_now(store)
        done = store.attempt(imported, keep=lambda _: not args.dry_run)
    _say(args, done)
    if not args.json and not args.dry_run:
        named = f" --store {shlex.quote(str(place))}" if args.store else ""
        lacking = "QUOTAS.csv" if done.reports else "USAGE.csv"
        following = "plan" if done.quotas.after and done.used else f"import {lacking}"
        print(f"The store is {place}{made}. Next: surgetank {following}{named}")
    return 0


class Imported(NamedTuple):
    """What an import did, or would do."""

    place: str | None  # None: nothing was stored
    found: list[Found]
    reports: list[ImportReport]
    quotas: QuotaChanges
    used: set[QuotaKey]  # series with usage


def _say(args: argparse.Namespace, done: Imported) -> None:
    """As text or JSON."""
    notes = [note for one in done.found for note in one.notes]
    touched, new, changed = done.quotas.touched, len(done.quotas.new), done.quotas.changed
    if args.json:
        counts = {"quotas": len(touched), "quotas_new": new, "quotas_changed": changed, "notes": notes}
        store = done.place
        print(
            json.dumps({"store": store, **counts, "imports": [report.to_dict() for report in done.reports]}, indent=2)
        )
        return
    for report in done.reports:
        print(for_terminal(str(report)))
    if touched:
        listed = ", ".join(for_terminal(one.name) for one in done.found if one.quotas or one.defaults)
        unused = sum(key not in done.used for key in touched)
        said = [_count(len(touched), "quota"), *([f"{new:,} new"] if new else [])]
        said += [f"{len(changed):,} changed"] if changed else []
        said += [f"{unused:,} of them without usage"] if unused else []
        print(f"{listed}: {', '.join(said)}")
        for change in changed[:10]:
            print(for_terminal(f"  {printable(change['quota'])}: {change['before']:,g} → {change['after']:,g}"))
    for note in notes:
        print(for_terminal(f"note: {note}"))
    if done.place is None:
        print("Nothing was stored (--dry-run).")


def _name(file: Path) -> str:
    return "standard input" if str(file) == "-" else file.name
