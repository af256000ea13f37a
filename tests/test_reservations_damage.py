"""A reservation, or a line of the audit trail, that is not what was written: the check names it, no call uses it."""

import contextlib
import random
import shutil
import sqlite3

import pytest

from clear import clear_error
from reservation_stores import DAY_S, EAST, EU, NOW, WEST, fill
from store_faults import FAULTS
from surgetank import InvalidInput, Store, StoreError
from surgetank.history.soundness import check_store

PAGE = 4096


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("damage") / "fleet.db"
    with Store(path, create=True) as store:
        fill(store)
        for n, key in enumerate((EAST, WEST, EU)):
            store.reserve({key: 5.0, EU: 2.0 + n}, coordination=f"c{n}", token=f"t{n}", by="me", why="drill", now=NOW)
        store.release("c1", now=NOW)
        store.resize("c2", {WEST: 3.0}, now=NOW)
        store.reserve({EAST: 1.0}, coordination="short", hold_s=60, now=NOW)
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("VACUUM")
    return path


@pytest.fixture
def path(original, tmp_path):
    return shutil.copy(original, tmp_path / "fleet.db")


def change(path, statement):
    db = sqlite3.connect(path)
    names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
    scripts = [row[0] for row in db.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'")]
    for name in names:
        db.execute(f"DROP TRIGGER {name}")
    db.execute(statement)
    for script in scripts:
        db.execute(script)
    db.commit()
    db.close()


class Undo(Exception):
    """So that each call finds the store as it was."""


def calls(store):
    """Every call, by its name; what changes something is undone."""
    return {
        "reserve": lambda: store.reserve({EAST: 30.0, EU: 80.0}, coordination="new", token="new", now=NOW).to_dict(),
        "again": lambda: store.reserve({EAST: 5.0, EU: 2.0}, coordination="c0", token="t0", now=NOW).to_dict(),
        "resize": lambda: store.resize("c2", {WEST: 60.0}, now=NOW).to_dict(),
        "renew": lambda: store.renew("c0", now=NOW + 5).found,
        "release": lambda: store.release("c0", now=NOW).found,
        "expire": lambda: store.expire(now=NOW + 60).found,
        "purge": lambda: store.purge_reservations(now=NOW + 9 * DAY_S),
        "reservations": lambda: (store.reservations(now=NOW).found, store.reservations(now=NOW).over),
        "ended": lambda: store.reservations(ended=True, now=NOW).found,
        "of one": lambda: store.reservations(coordination="c0", now=NOW).found,
        "reserved": lambda: store.reserved(at=NOW),
        "rooms": lambda: store.rooms([EAST, WEST, EU], now=NOW),
        "audit": lambda: store.audit(),
        "audit of one": lambda: store.audit(coordination="c0"),
    }


def answer(path, name):
    """What a call says; None: that the store is damaged."""
    said = ""
    try:
        with Store(path) as store, contextlib.suppress(Undo), store.transaction():
            try:
                said = repr(calls(store)[name]())
            except InvalidInput as error:
                said = str(error)
            raise Undo
    except StoreError as error:
        said = str(error)
    return None if "damaged" in said else said


def answers(path):
    return {name: answer(path, name) for name in calls(None)}


ROWS = [  # what is changed, the calls that must refuse
    ("UPDATE reservation SET amount = 4 WHERE coordination = 'c0'", ["reserve", "again", "reservations", "rooms"]),
    ("UPDATE reservation SET expires = expires + 1 WHERE coordination = 'c0'", ["renew", "release", "reserved"]),
    ("UPDATE reservation SET status = 'released' WHERE coordination = 'c0'", ["again", "renew", "release", "of one"]),
    ("UPDATE reservation SET status = 'active' WHERE coordination = 'c1'", ["reserve", "reservations", "rooms"]),
    ("UPDATE reservation SET key_id = 2 WHERE coordination = 'c0' AND key_id = 1", ["again", "rooms", "ended"]),
    ("UPDATE reservation SET key_id = 99 WHERE coordination = 'c0' AND key_id = 1", ["again", "reservations"]),
    ("UPDATE reservation SET forced = 1 WHERE coordination = 'short'", ["expire", "purge", "reserve", "reserved"]),
    ("UPDATE reservation SET purge = 0", ["purge", "reservations", "ended", "of one", "renew", "resize"]),
    ("UPDATE reservation SET created = created - 1 WHERE coordination = 'c2'", ["resize", "ended", "reserved"]),
    ("UPDATE reservation SET coordination = 'c9' WHERE coordination = 'c0'", ["reservations", "reserve", "ended"]),
    ("UPDATE reservation SET amount = CAST(amount AS BLOB)", ["reserve", "reservations", "rooms", "release"]),
    ("UPDATE reservation SET checksum = checksum + 1", ["reserve", "again", "resize", "renew", "purge", "rooms"]),
    ("UPDATE coordination SET request = 'x' WHERE id = 'c0'", ["again"]),
    ("UPDATE coordination SET token = 't9' WHERE id = 'c0'", []),
    ("UPDATE audit SET actor = 'other' WHERE id = 1", ["audit", "audit of one"]),
    ("UPDATE audit SET body = replace(body, '5.0', '6.0') WHERE id = 1", ["audit", "audit of one"]),
    ("UPDATE audit SET body = '[' WHERE id = 1", ["audit", "audit of one"]),
    ("UPDATE audit SET at = at + 1", ["audit", "audit of one"]),
    ("UPDATE audit SET id = 99 WHERE id = 1", ["audit", "audit of one"]),
    ("UPDATE quota_key SET region = 'us-east-9' WHERE id = 1", ["reservations", "ended", "of one", "release"]),
    ("UPDATE quota SET value = 1000", ["reserve", "rooms", "resize"]),
    ("UPDATE usage_day SET usage = zeroblob(length(usage))", ["reserve", "rooms", "resize"]),
]


@pytest.mark.parametrize(("statement", "refused"), ROWS)
def test_a_row_that_is_not_what_was_written_is_refused_and_named(path, statement, refused):
    right = answers(path)
    assert None not in right.values()
    change(path, statement)
    found = answers(path)
    assert {name: found[name] for name in refused} == dict.fromkeys(refused)
    table = statement.split()[1]
    if table in ("reservation", "audit"):  # what is still answered is right
        # SQL moves a row in the indexes as well, as no damage would: it is looked for in vain where it was.
        moved = {
            "'released'": {"reservations", "rooms"},
            "= 99": {"rooms"},
            "'c9'": {"again", "of one", "renew", "release"},
        }
        skip = next((names for words, names in moved.items() if words in statement), set())
        assert {n for n, text in found.items() if text is not None and text != right[n]} <= skip
    check = check_store(path, 5)
    assert not check.sound
    assert any(str(one).startswith(table) for one in check.damage), str(check)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM reservation WHERE coordination = 'c0'", "coordination, c0: has no reservations"),
        ("DELETE FROM coordination WHERE id = 'c0'", "reservation: holds a row of a coordination, quota or failover"),
        ("DROP TRIGGER reservation_verified", "reservation_verified: is not as this schema version defines it"),
        ("DROP INDEX reservation_held", "reservation_held: is not as this schema version defines it"),
    ],
)
def test_what_is_lost_is_named(path, statement, said):
    if "DROP TRIGGER" in statement:
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute(statement)
    else:
        change(path, statement)
    found = check_store(path, 5)
    assert any(str(one).startswith(said) for one in found.damage), str(found)


def test_what_is_damaged_is_not_given_a_right_checksum(path):
    change(path, "UPDATE reservation SET amount = 4 WHERE coordination = 'c0'")
    before = check_store(path, 5).damage
    with Store(path) as store:
        for call in (lambda: store.release("c0", now=NOW), lambda: store.renew("c0", now=NOW),
                     lambda: store.expire(now=NOW + DAY_S)):  # fmt: skip
            with clear_error(StoreError, "damaged", "a reservation is not what was written", "surgetank store check"):
                call()
        with clear_error(StoreError, "damaged", "a reservation is not what was written"), store.transaction():
            store._db.execute("UPDATE reservation SET status = 'released'")
    assert check_store(path, 5).damage == before


def flips(content, pages, seed, count):
    """One bit at a time, where those pages are in use."""
    rng = random.Random(seed)
    for page in pages:
        used = [at for at in range((page - 1) * PAGE, page * PAGE) if content[at]]
        for at in rng.sample(used, min(count, len(used))):
            damaged = bytearray(content)
            damaged[at] ^= 1 << rng.randrange(8)
            yield at, bytes(damaged)


@pytest.mark.parametrize("kind", ["table", "index"])
def test_a_flipped_bit_is_found(original, tmp_path, kind):
    """In a table it never becomes another answer; whatever is not answered as before, the check says is damaged."""
    path, wrong, content = tmp_path / "fleet.db", {}, original.read_bytes()
    right = answers(shutil.copy(original, path))
    with contextlib.closing(sqlite3.connect(original)) as db:
        query = f"SELECT name, rootpage FROM sqlite_master WHERE type = '{kind}' AND tbl_name IN "
        found = dict(db.execute(f"{query} ('reservation', 'coordination', 'audit')"))
    assert len(found) == {"table": 3, "index": 7}[kind]
    for at, damaged in flips(content, found.values(), 20260101, (40 if kind == "table" else 15) * FAULTS):
        for old in tmp_path.iterdir():
            old.unlink()
        path.write_bytes(damaged)
        checked = check_store(path, 5).sound
        found = answers(path)
        other = {name for name, text in found.items() if text is not None and text != right[name]}
        if other and (kind == "table" or checked):
            wrong[at] = other
        if checked and None in found.values():
            wrong[at] = "not found by the check"
    assert wrong == {}
