"""Where the processes of `reservation_faults` have their store: how it is made, opened, read by others, and broken."""

import contextlib
import json
import os
import secrets
import signal
import sqlite3
import time
import zlib
from types import SimpleNamespace

from surgetank import DynamoStore, Store
from surgetank.history import claiming, claims, opening
from surgetank.history.dynamodb import work
from surgetank.history.dynamodb.calls import Calls
from surgetank.history.ledger import Ledger
from surgetank.history.room import Room
from surgetank.history.soundness import check_store


def killed():
    """As if somebody pulled the plug."""
    os.kill(os.getpid(), signal.SIGKILL)


def planted(fault, others, rng):
    """Make a mistake on purpose, in this process alone: one of those of every store, or one of ``others``."""
    request = claims.request
    if fault == "oversell":
        Room.holds = lambda self, amount: True
    elif fault == "revived":
        claims.note_overdue = claiming.note_overdue = lambda book, now_s: []
    elif fault == "twice":
        claims.request = lambda amounts, **how: request(amounts, **how | {"token": secrets.token_hex(8)})
    elif fault:
        others[fault](rng)


class File:
    """The embedded store: while some work, others are killed and the file is read, since it is one moment's."""

    at_rest = False  # whether everybody must be stopped before it is read
    calls_between = 0  # answers until the next is killed, at most; and some moments more

    def __init__(self, folder):
        self.path = folder / "fleet.db"

    def open(self, **how):
        return Store(self.path, **how)

    def clock(self, skew_s):
        """Rows are in the order in which they were written, whatever a clock says."""

    def snapshot(self):
        """Rows, coordinations, the audit trail and what is wrong, of one moment; read without any code of ours."""
        with contextlib.closing(sqlite3.connect(self.path, timeout=60, isolation_level=None)) as db:
            db.execute("BEGIN")
            rows = db.execute(
                "SELECT coordination, service_code, region, amount, status, expires FROM reservation"
                " JOIN quota_key ON id = key_id"
            ).fetchall()
            names = [row[0] for row in db.execute("SELECT id FROM coordination")]
            lines = db.execute("SELECT id, action, coordination, why, body FROM audit ORDER BY id").fetchall()
        held = {(name, (service, region)): rest for name, service, region, *rest in rows}
        trail = [(number, action, name, why, json.loads(body)) for number, action, name, why, body in lines]
        return held, names, trail, []

    def check(self):
        return check_store(self.path, 60)

    def plant(self, fault, rng):
        planted(fault, {"half": self.half, "silent": self.silent, "lost": self.lost}, rng)

    @staticmethod
    def half(rng):
        save = Ledger.save

        def half(self, changes, action, name, now_s, words):
            if action == "reserve" and len(changes) > 1 and rng.random() < 0.1:
                save(self, changes[:1], action, name, now_s, words)
                self.db.execute("COMMIT")
                killed()
            save(self, changes, action, name, now_s, words)

        Ledger.save = half

    @staticmethod
    def silent(rng):
        save = Ledger.save

        def silent(self, changes, action, name, now_s, words):
            if action == "release" and rng.random() < 0.3:
                self = type(self)(self.db, self.key_id)
                object.__setattr__(self, "note", lambda *said: None)
            save(self, changes, action, name, now_s, words)

        Ledger.save = silent

    @staticmethod
    def lost(rng):
        connect = opening.sqlite3.connect

        class Lost(opening.sqlite3.Connection):
            def execute(self, sql, *values):
                return super().execute("ROLLBACK" if sql == "COMMIT" and rng.random() < 0.05 else sql, *values)

        opening.sqlite3.connect = lambda *given, **how: connect(*given, **how | {"factory": Lost})


class Tables:
    """The store in DynamoDB, of the engine that the environment names: it has no one moment while anybody works."""

    at_rest = True
    calls_between = 30  # it takes some calls to connect again

    def __init__(self, folder):
        """Each folder has tables of its own."""
        self.prefix = f"fleet-{zlib.crc32(str(folder).encode())}"

    def open(self, **how):
        return DynamoStore(self.prefix, **how)

    def clock(self, skew_s):
        """The machine's own clock, beside the one by which is claimed: it gives the trail its order."""
        now = time.time_ns
        work.time = SimpleNamespace(time_ns=lambda: now() + round(skew_s * 1e9))

    def check(self):
        with self.open() as store:
            return store.check()

    def snapshot(self):
        """As that of a file; of tables that stand still, since a call may be on its way when who made it is killed."""
        before, rows = None, self._rows()
        while rows != before:
            time.sleep(0.1)
            before, rows = rows, self._rows()
        claimed = {key: row for key, row in rows["coordinations"].items() if key[0].startswith("claim/")}
        tokens = {key[0][6:]: row for key, row in rows["coordinations"].items() if key[0].startswith("token/")}
        held, ledgers, wrong = {}, {}, []
        for (place,), (body, _) in claimed.items():
            for key, amount, _, expires, _, status, *_ in body["held"]:
                held[place[6:], (key[2], key[1])] = [amount, status, expires]
        for place, (body, _) in rows["reservations"].items():
            for name, of_name in body.items():
                for key, amount, _, expires, _, status, *_ in of_name:
                    ledgers[name, (key[2], key[1])] = [amount, status, expires]
                    if place != (f"{key[0]}/{key[1]}",):
                        wrong.append(f"{name} is held in {key}, and stands in the ledger {place}")
        active = {key: row for key, row in held.items() if row[1] == "active"}
        different = [key for key in {**active, **ledgers} if active.get(key) != ledgers.get(key)]
        wrong += [f"{key} is {active.get(key)}, and in its ledger {ledgers.get(key)}" for key in different]
        owners = {token: (body["coordination"], body["digest"], ttl) for token, (body, ttl) in tokens.items()}
        claims = {body["token"]: (place[6:], body["digest"], ttl) for (place,), (body, ttl) in claimed.items()}
        wrong += [f"tokens of no coordination, or the other way round: {owners.keys() ^ claims.keys()}"] * (
            owners != claims
        )
        lines = sorted((at, place[6:], body) for (place, at), (body, _) in rows["audit"].items())
        trail = [(n, b["action"], name, b["why"], b["changes"]) for n, (_, name, b) in enumerate(lines, 1)]
        return held, [place[6:] for (place,) in claimed], trail, wrong

    def _rows(self):
        """Table → key → body and `ttl`."""
        from botocore.session import Session

        client, rows = Session().create_client("dynamodb"), {}
        for name, keys in {"coordinations": ("id",), "reservations": ("id",), "audit": ("id", "at")}.items():
            pages = client.get_paginator("scan").paginate(TableName=f"{self.prefix}-{name}", ConsistentRead=True)
            items = [item for page in pages for item in page["Items"]]
            rows[name] = {tuple(_plain(item[k]) for k in keys): (_body(item), item.get("ttl")) for item in items}
        return rows

    def plant(self, fault, rng):
        others = {"half": self.half, "silent": self.silent, "lost": self.lost, "blind": self.blind}
        planted(fault, others, rng)

    @staticmethod
    def half(rng):
        write = Calls.write

        def half(self, writes):
            if any(w.item.table == "audit" and w.item.body["action"] == "reserve" for w in writes):
                for one in writes if rng.random() < 0.1 else ():
                    write(self, [one])
                    if rng.random() < 0.5:
                        killed()
            write(self, writes)

        Calls.write = half

    @staticmethod
    def silent(rng):
        put = work.Work.put

        def silent(self, item, **how):
            if item.table == "audit" and item.body["action"] == "release" and rng.random() < 0.3:
                return
            put(self, item, **how)

        work.Work.put = silent

    @staticmethod
    def lost(rng):
        write = Calls.write
        Calls.write = lambda self, writes: None if rng.random() < 0.05 else write(self, writes)

    @staticmethod
    def blind(rng):
        parameters = Calls._parameters

        def blind(self, write):
            return {k: v for k, v in parameters(self, write).items() if k in ("TableName", "Key", "Item")}

        Calls._parameters = blind


def _plain(value):
    return int(value["N"]) if "N" in value else value["S"]


def _body(item):
    body = item["body"]
    return json.loads(body["S"] if "S" in body else zlib.decompress(body["B"][1:]))


PLACES = {"embedded": File, "dynamodb": Tables}
