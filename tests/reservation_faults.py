"""Processes that reserve, and are killed as they do: run in a process of its own, whose children they are.

``python reservation_faults.py KIND FOLDER OPERATIONS SEED [FAULT]`` lets eight work on a store of that kind (see
`reservation_places`), each by its own clock, until so many calls were answered; kills one after the other at random
moments, and starts it again. Each notes what it is about to do before a call, and the answer after it. Says what is
wrong, and how long calls took. With a FAULT that is planted something must be.
"""

import json
import math
import os
import random
import signal
import sys
import time
from pathlib import Path

from reservation_places import PLACES
from reservation_trail import verify
from surgetank import History, QuotaKey, StoreError

START = 1767225600
REGIONS = ("us-east-1", "us-west-2", "eu-west-1", "ap-south-1")
SERVICES = ("ec2", "rds")
QUOTA = (100.0, 64.3, 0.9, 1e6)  # of each Region
USED = (60.0, 30.1, 0.1, 0.0)
WORKERS = 8


def make(place):
    with place.open(create=True) as store:
        for service in SERVICES:
            world = History.from_array([list(USED)] * 2, start=START - 600, step_s=300, regions=REGIONS,
                                       service_code=service, quota=QUOTA)  # fmt: skip
            store.import_quotas(world.quotas)
            store.add_samples(world.samples())


class Worker:
    """One process: its calls depend on its seed, and on what it has noted before it was killed."""

    def __init__(self, folder, number, seed):
        self.rng = random.Random(seed)
        self.log = folder / f"{number}.log"
        noted = [json.loads(line) for line in whole_lines(self.log)]
        self.name = number
        self.n = 1 + max((line["n"] for line in noted), default=-1)
        # Its own clock: it stands still while the process does, and is wrong by some minutes.
        self.skew = random.Random(number).randrange(-300, 300)
        answered = {line["n"] for line in noted if "said" in line}
        asked = [line for line in noted if "call" in line]
        self.retry = asked[-1] if asked and asked[-1]["n"] not in answered and asked[-1].get("token") else None
        self.mine = [line["said"]["name"] for line in noted if line.get("said", {}).get("granted")][-30:]

    def work(self, place, stop):
        place.clock(self.skew)
        with place.open(timeout_s=60) as store, self.log.open("ab", buffering=0) as log:
            while not stop.exists():
                asked = self.next()
                log.write(f"{json.dumps(asked)}\n".encode())
                started = time.monotonic()
                try:
                    said = self.call(store, asked)
                except StoreError as error:
                    said = {"error": str(error)}
                took = time.monotonic() - started
                log.write(f"{json.dumps({'n': asked['n'], 'said': said, 'took_s': took})}\n".encode())
                if said.get("granted"):
                    self.mine = [*self.mine[-30:], said["name"]]
                self.n += 1

    def next(self):
        """What to do now, as it is noted."""
        rng = self.rng
        asked = {
            "n": self.n,
            "why": f"{self.name}:{self.n}",
            "now": START + 20 * self.n + self.skew + rng.randrange(40),
        }
        if self.retry or (self.mine and rng.random() < 0.05):
            again, self.retry = self.retry or self.again, None
            if again:
                return {**again, **asked}
        call = rng.choices(["reserve", "resize", "renew", "release", "expire", "purge"], [45, 12, 10, 23, 5, 5])[0]
        if call in ("resize", "renew", "release") and not self.mine:
            call = "reserve"
        asked["call"] = call
        if call == "reserve":
            asked["name"] = f"c{self.name}-{self.n}" if rng.random() < 0.7 else None
            asked["token"] = f"t{self.name}-{self.n}" if rng.random() < 0.6 else None
            asked["hold_s"] = rng.choice([5, 100, 1000, 5000])
            asked["amounts"] = self.amounts(rng.randint(1, 4))
            if asked["token"]:
                self.again = asked
        elif call in ("resize", "renew", "release"):
            asked["name"] = rng.choice(self.mine)
            if call == "resize":
                asked["amounts"] = self.amounts(rng.randint(0, 3))
            if call == "release" and rng.random() < 0.2:
                asked["regions"] = rng.sample(REGIONS, 1)
        return asked

    again = None

    def amounts(self, count):
        """Of one service in some Regions; many small ones, and some that take all there is."""
        service = self.rng.choice(SERVICES)
        result = []
        for n in self.rng.sample(range(len(REGIONS)), count):
            free = QUOTA[n] - USED[n]
            share = self.rng.choice([0.05, 0.1, 0.3, self.rng.random()])
            result.append([service, REGIONS[n], free * share])
        return result

    def call(self, store, asked):
        """Do it; the answer as it is noted."""
        who = {"by": str(self.name), "why": asked["why"], "now": asked["now"]}
        amounts = {QuotaKey(region=region, service_code=s): amount for s, region, amount in asked.get("amounts", ())}
        name, call = asked.get("name"), asked["call"]
        try:
            if call == "reserve":
                claim = store.reserve(amounts, coordination=name, token=asked["token"], hold_s=asked["hold_s"],
                                      purge_s=asked["hold_s"] + 1500, stale_after_s=1e9, **who)  # fmt: skip
                return {"name": claim.coordination, "granted": claim.granted, "repeated": claim.repeated}
            if call == "resize":
                claim = store.resize(name, amounts, stale_after_s=1e9, **who)
                return {"name": name, "granted": claim.granted}
            if call in ("expire", "purge"):
                only = {"now": asked["now"]}
                done = store.expire(**only) if call == "expire" else store.purge_reservations(by=str(self.name), **only)
                return {"count": done if call == "purge" else len(done)}
            keys = None
            if "regions" in asked:
                held = store.reservations(coordination=name, ended=True, now=asked["now"]).found
                keys = [r.key for r in held if r.key.region in asked["regions"]]
            done = store.renew(name, hold_s=500, **who) if call == "renew" else store.release(name, keys, **who)
            return {"name": name, "count": len(done)}
        except ValueError as error:  # it has ended, or was forgotten
            return {"name": name, "refused": str(error)}


def whole_lines(path):
    """Lines of a log; the last may have been cut off."""
    content = path.read_bytes() if path.exists() else b""
    return content[: content.rfind(b"\n") + 1].splitlines()


def answers(folder):
    """How many calls were answered."""
    return sum(b'"said"' in line for n in range(WORKERS) for line in whole_lines(folder / f"{n}.log"))


def start(place, folder, number, seed, fault):
    """Fork a worker; what it raises is a line of its log."""
    child = os.fork()
    if not child:
        try:
            place.plant(fault, random.Random(seed))
            Worker(folder, number, seed).work(place, folder / "stop")
        except BaseException as error:
            with (folder / f"{number}.log").open("ab") as log:
                log.write(f"{json.dumps({'n': -1, 'said': {'error': repr(error)}})}\n".encode())
        os._exit(0)
    return child


def kill(children, numbers):
    """End workers, wherever they are in a call."""
    for n in numbers:
        os.kill(children[n], signal.SIGKILL)
    for n in numbers:
        os.waitpid(children[n], 0)


def run(kind, folder, operations, seed, fault=""):
    """Let them work, kill them, and check; gives what is to be told."""
    rng, place = random.Random(seed), PLACES[kind](folder)
    make(place)
    started = time.monotonic()
    children = {n: start(place, folder, n, rng.random(), fault) for n in range(WORKERS)}
    kills = checks = answered = rounds = 0
    wrong = []
    while (answered < operations or kills < operations // 30) and not wrong:
        upto = answers(folder) + rng.randint(0, place.calls_between)
        until = time.monotonic() + 10
        while answers(folder) < upto and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.05))
        rounds += 1
        check = rounds % (4 if fault and place.at_rest else 10) == 0
        victims = range(WORKERS) if check and place.at_rest else [rng.randrange(WORKERS)]
        kill(children, victims)
        kills += len(victims)
        if check and place.at_rest:
            wrong, checks = checked(place, folder), checks + 1
        for n in victims:
            children[n] = start(place, folder, n, rng.random(), fault)
        if check and not place.at_rest:
            wrong, checks = checked(place, folder), checks + 1
        if check:
            answered = answers(folder)
    (folder / "stop").touch()
    for child in children.values():
        os.waitpid(child, 0)
    took = time.monotonic() - started
    wrong = wrong or checked(place, folder, done=True)
    lines = [json.loads(line) for n in range(WORKERS) for line in whole_lines(folder / f"{n}.log")]
    times = sorted(line["took_s"] for line in lines if "took_s" in line)
    counts = {}
    for line in lines:
        if "call" in line:
            counts[line["call"]] = counts.get(line["call"], 0) + 1
    said = [line["said"] for line in lines if "said" in line]
    return {
        "wrong": wrong[:50], "answers": len(times), "kills": kills, "checks": checks, "took_s": round(took, 1),
        "asked": counts, "granted": sum(bool(s.get("granted")) for s in said),
        "repeated": sum(bool(s.get("repeated")) for s in said), "refused": sum("refused" in s for s in said),
        "ms": {f"p{p}": round(1e3 * times[min(len(times) - 1, math.floor(len(times) * p / 100))], 2)
               for p in (50, 99, 100)} if times else {},
    }  # fmt: skip


def checked(place, folder, done=False):
    """In a process of its own, which has no lock to lose: what is wrong with the store by now."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            logs = [[json.loads(line) for line in whole_lines(folder / f"{n}.log")] for n in range(WORKERS)]
            wrong = verify(place, logs, limits(), done)
        except BaseException as error:
            wrong = [repr(error)]
        os.write(write, json.dumps([str(one)[:300] for one in wrong[:50]]).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return json.loads(said)


def limits():
    """(service, Region) → quota and usage."""
    return {(s, region): (QUOTA[n], USED[n]) for s in SERVICES for n, region in enumerate(REGIONS)}


if __name__ == "__main__":
    kind, where, count, chosen, *planted = sys.argv[1:]
    print(json.dumps(run(kind, Path(where), int(count), int(chosen), *planted)))
