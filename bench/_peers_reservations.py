"""What the same file could do at best: SQLite alone, with the store's durability and the least that a claim can be."""

import sqlite3

import surgetank
from surgetank import History, QuotaKey

START = 1767225600
KEYS = tuple(QuotaKey(region=region) for region in ("us-east-1", "us-west-2"))
WAIT_S = 60


class Surgetank:
    """`Store.reserve` of two Regions, and `release`."""

    def __init__(self, path):
        self.store = surgetank.Store(path, timeout_s=WAIT_S)

    @staticmethod
    def make(path, quota):
        with surgetank.Store(path, create=True) as store:
            world = History.from_array([[1.0, 1.0]], start=START, step_s=300, regions=[k.region for k in KEYS],
                                       quota=quota)  # fmt: skip
            store.import_quotas(world.quotas)
            store.add_samples(world.samples())

    def claim(self, amount):
        found = self.store.reserve(dict.fromkeys(KEYS, amount), now=START)
        return found.coordination if found.granted else None

    def release(self, name):
        self.store.release(name, now=START)

    def held(self):
        return sum(self.store.reserved(at=START).values())

    def close(self):
        self.store.close()


class Bare:
    """One sum, one insert of both; no names, checks, checksums, expiry or trail."""

    sums = True

    def __init__(self, path):
        self.db = sqlite3.connect(path, timeout=WAIT_S, isolation_level=None)
        self.free = self.db.execute("SELECT free FROM quota").fetchone()[0]

    @staticmethod
    def make(path, quota):
        with surgetank.Store(path.with_name("same.db"), create=True) as store:
            pragmas = {p: store._db.execute(f"PRAGMA {p}").fetchone()[0] for p in ("journal_mode", "page_size")}
            level = store._db.execute("PRAGMA synchronous").fetchone()[0]
        db = sqlite3.connect(path, isolation_level=None)
        assert (pragmas["journal_mode"], level) == ("wal", 2), "what it takes to survive a loss of power"
        db.execute(f"PRAGMA page_size = {pragmas['page_size']}")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE quota (free REAL)")
        db.execute("INSERT INTO quota VALUES (?)", (quota - 1.0,))
        db.execute("CREATE TABLE held (claim INTEGER, quota INTEGER, amount REAL, PRIMARY KEY (quota, claim)) "
                   "WITHOUT ROWID")  # fmt: skip
        db.execute("CREATE TABLE number (last INTEGER)")
        db.close()

    number = 0

    def claim(self, amount):
        import os

        self.number += 1
        name = (os.getpid() << 32) + self.number
        self.db.execute("BEGIN IMMEDIATE")
        if self.sums:
            query = "SELECT total(amount) FROM held WHERE quota IN (1, 2) GROUP BY quota"
            if any(held + amount > self.free for (held,) in self.db.execute(query).fetchall()):
                self.db.execute("ROLLBACK")
                return None
        self.db.execute("INSERT INTO held VALUES (?1, 1, ?2), (?1, 2, ?2)", (name, amount))
        self.db.execute("COMMIT")
        return name

    def release(self, name):
        self.db.execute("DELETE FROM held WHERE quota IN (1, 2) AND claim = ?", (name,))

    def held(self):
        return self.db.execute("SELECT total(amount) FROM held").fetchone()[0]

    def close(self):
        self.db.close()


class Careless(Bare):
    """The same, and whether there is room is not asked."""

    sums = False


WAYS = {"`Store.reserve`": Surgetank, "bare SQLite": Bare, "bare SQLite, no sum": Careless}
