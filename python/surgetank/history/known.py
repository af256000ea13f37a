"""What the embedded store knows of some quotas, found by their names: it costs what is asked for, not what is there.

Names are found through their index. That it says what the table says is checked once, as a whole, by whoever opens a
store and adds to it (`check_names`); from then on, of each name that is found.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

from .keys import KEY_FIELDS, UNSTATED, Quota, QuotaKey
from .quotas import is_default
from .schema import SOUND, quota_name, read_quota

KEY = ", ".join(KEY_FIELDS)
QUOTA = "key_id, value, default_value, unit, name, adjustable, is_global, quota.checksum"
_INDEX = "quota_key INDEXED BY sqlite_autoindex_quota_key_1"
# In two steps, or SQLite would take the name from the index where the table's is wanted.
_ID = f"SELECT id FROM {_INDEX} WHERE ({KEY}) = (?, ?, ?, ?, ?)"
_ROW = f"SELECT {KEY}, id, has_usage, usage_unit, {SOUND['quota_key']} FROM quota_key WHERE id = ?"
_OF_ID = f"SELECT {KEY}, {QUOTA} FROM quota JOIN quota_key ON id = key_id WHERE key_id = ?"
_WRONG = f"""
    SELECT 1 FROM (SELECT *, {SOUND["quota_key"]} AS sound FROM quota_key NOT INDEXED) AS t
    LEFT JOIN {_INDEX.replace("quota_key", "quota_key AS i", 1)}
    ON ({", ".join(f"i.{name}" for name in KEY_FIELDS)}) = ({", ".join(f"t.{name}" for name in KEY_FIELDS)})
    WHERE NOT t.sound OR i.id IS NOT t.id LIMIT 1
"""
# The next account each time: a step through the index, however many quotas an account has.
_ACCOUNTS = f"""
    WITH RECURSIVE one (account) AS (
        SELECT min(account) FROM {_INDEX}
        UNION ALL SELECT (SELECT min(account) FROM {_INDEX} WHERE account > one.account) FROM one
        WHERE one.account IS NOT NULL
    ) SELECT account FROM one WHERE account IS NOT NULL
"""


class Known(NamedTuple):
    """A name in the store: its number, whether usage was imported, and the unit of that."""

    id: int
    has_usage: bool
    unit: str


def check_names(db: sqlite3.Connection) -> None:
    """Compare every name with its index: one that is damaged would not be found, and be written a second time."""
    counts = [db.execute(f"SELECT count(*) FROM {what}").fetchone() for what in (_INDEX, "quota_key NOT INDEXED")]
    if counts[0] != counts[1] or db.execute(_WRONG).fetchone():
        raise sqlite3.DatabaseError("malformed: the index of the quotas' names is not what was written")


def check_quotas(db: sqlite3.Connection) -> None:
    """Compare every quota with its checksum, those of no name as well; ValueError where it is not what was written."""
    for row in db.execute(f"SELECT {KEY}, {QUOTA} FROM quota LEFT JOIN quota_key ON id = key_id"):
        quota_name(row)


def known_of(db: sqlite3.Connection, keys: Iterable[QuotaKey]) -> dict[QuotaKey, Known]:
    """Those of the keys that the store knows; sqlite3.DatabaseError where a name is not what was written."""
    found = {}
    for key in keys:
        for (key_id,) in db.execute(_ID, key):
            *parts, number, has_usage, unit, sound = db.execute(_ROW, (key_id,)).fetchone() or (*key, key_id, 0, "", 0)
            if not sound or tuple(parts) != tuple(key):
                name = " ".join(map(str, parts))
                raise sqlite3.DatabaseError(f"malformed: the name of a quota is not what was written: {name}")
            found[key] = Known(number, bool(has_usage), unit)
    return found


def quotas_of(db: sqlite3.Connection, keys: Collection[QuotaKey], told: Iterable[QuotaKey]) -> tuple[Quota, ...]:
    """The quotas of these keys and those of no account by the same names; by the names of defaults, of every account.

    Defaults are those that are ``told``, and those that stand in the store under the names of the keys.
    """
    found = {quota.key: quota for quota in _quotas(db, dict.fromkeys((*keys, *map(_nobodys, keys))))}
    names = {_nobodys(key) for key in told} | {key for key, quota in found.items() if is_default(quota)}
    accounts: list[Any] = [account for (account,) in db.execute(_ACCOUNTS)] if names else []
    wider = (name._replace(account=account) for account in accounts for name in names)
    found |= {quota.key: quota for quota in _quotas(db, (key for key in wider if key not in found))}
    return tuple(found.values())


def _quotas(db: sqlite3.Connection, keys: Iterable[QuotaKey]) -> Iterator[Quota]:
    for known in known_of(db, keys).values():
        for row in db.execute(_OF_ID, (known.id,)):
            yield read_quota(row)


def _nobodys(key: QuotaKey) -> QuotaKey:
    return key._replace(account=UNSTATED)
