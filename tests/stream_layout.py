"""Where everything lies in the bytes of a SpikeStream, version 1: written from `spikes_adaptive.hpp`, to damage them.

What is patched gets a correct checksum again: it is for accidents, and what could hurt must be refused besides.
"""

import math
import struct
import zlib

MAGIC, HEAD = b"surgetank spikes", 57
BINS, DEVIATIONS = 322, 5  # bin 0 is never used, and kept
HEAD_FIELDS = {"version": (16, "<Q"), "threshold": (24, "<d"), "both": (32, "<B"), "step_s": (33, "<d")}
HEAD_FIELDS |= {"samples": (41, "<q"), "series": (49, "<q")}


def layout(step_s):
    """Every number of the first series: {name: (offset, format)}, and where the second begins."""
    per = 300 / min(max(step_s, 1.0), 86400.0)
    hour, two_hours, day, quarter = (max(1, math.floor(of * per + 0.5)) for of in (12, 24, 288, 3))
    fields, place = dict(HEAD_FIELDS), HEAD

    def put(name, form, times=None):
        nonlocal place
        for i in range(1 if times is None else times):
            fields[name if times is None else f"{name}[{i}]"] = (place, form)
            place += struct.calcsize(form)

    for mean in ("level", "movement", "recent", "spread"):
        put(f"{mean}.mean", "<d")
        put(f"{mean}.count", "<q")
    windows = {"hour": hour, "two_hours": two_hours, "day": day, "moved": two_hours, "surprise": quarter}
    for window, samples in windows.items():
        put(f"{window}.at", "<d", samples)
        put(f"{window}.place", "<q")
        put(f"{window}.prefix", "<d")
        put(f"{window}.full", "<B")
    put("delay", "<d", two_hours)
    put("delayed", "<q")
    put("profile", "<d", day)
    put("visits", "<B", day)
    for j in range(DEVIATIONS):
        put(f"rarity{j}.unit", "<d")
        put(f"rarity{j}.total", "<q")
        put(f"rarity{j}.above", "<i", BINS)
        put(f"rarity{j}.below", "<i", BINS)
        put(f"rarity{j}.record", "<i", 2)
    for number in ("before", "unit", "last_rarity", "habituation", "bar", "top"):
        put(number, "<d")
    for count in ("slot", "observed", "missing", "since"):
        put(count, "<q")
    return fields, place


def checksum(plain):
    """FNV-1a, 64 bits."""
    hashed = 0xCBF29CE484222325
    for byte in plain:
        hashed = (hashed ^ byte) * 0x100000001B3 % 2**64
    return hashed


def sealed(body):
    """Bytes of a state that ends with the checksum of its body."""
    return zlib.compress(body + struct.pack("<Q", checksum(body)), 1)


def body_of(state):
    """What is behind the compression and before the checksum, to be changed."""
    return bytearray(zlib.decompress(state)[:-8])


def read(state, fields):
    """All numbers of the first series, by name."""
    plain = body_of(state)
    return {name: struct.unpack_from(form, plain, at)[0] for name, (at, form) in fields.items()}


def patched(state, fields, **changes):
    """The state with some of its numbers changed, and sealed again (for a dot in a name: `**{"day.place": 3}`)."""
    body = body_of(state)
    for name, value in changes.items():
        at, form = fields[name]
        struct.pack_into(form, body, at, value)
    return sealed(bytes(body))
