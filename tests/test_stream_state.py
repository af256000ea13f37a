"""The bytes of a SpikeStream: the same tomorrow as today, and harmless whatever came of them on the way."""

import os
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest

from clear import clear_error
from oracles_spikes import Adaptive
from stream_layout import HEAD, MAGIC, body_of, checksum, layout, patched, read, sealed
from surgetank import AdaptiveDetector, InvalidInput, SpikeStream, detect_spikes

VERSION = 1
GOLDEN = Path(__file__).parent / "golden" / f"stream_v{VERSION}.bin"
STEP_S = 3600.0
FIELDS, SECOND = layout(STEP_S)


def fixed_series(length, series):
    """The same to the last bit on every machine: whole numbers and quarters, from a generator written out here."""
    random, usage = 1, np.empty((length, series))
    for t in range(length):
        for s in range(series):
            random = (random * 6364136223846793005 + 1442695040888963407) % 2**64
            usage[t, s] = 50 * (s + 1) + t % 24 + (random >> 60) / 4
            if random >> 40 & 63 == 0:
                usage[t, s] *= 8
            elif random >> 40 & 15 == 1:
                usage[t, s] = np.nan
    return usage


USAGE = fixed_series(420, 2)
USAGE[380] = 5000  # what no series of the kind says otherwise
KEPT = 300  # samples that the golden file has seen


def stream_of_today(usage=USAGE[:KEPT]):
    stream = SpikeStream(AdaptiveDetector(threshold=1.25), series=2, step_s=STEP_S)
    stream.update(usage)
    return stream


@pytest.fixture(scope="module")
def state():
    return stream_of_today().to_bytes()


@pytest.fixture(scope="module")
def golden():
    # Only a file that is not there: what jobs have kept is not made anew.
    if os.environ.get("REFRESH_GOLDEN") and not GOLDEN.exists():
        GOLDEN.write_bytes(stream_of_today().to_bytes())
    return GOLDEN.read_bytes()


def check_goes_on(stream):
    whole = detect_spikes(USAGE, step_s=STEP_S, detector=AdaptiveDetector(threshold=1.25))
    assert (whole.flags[KEPT:].sum(axis=0) > 0).all()
    later = stream.update(USAGE[KEPT:])
    for name in ("flags", "scores", "likelihood", "ratios"):
        np.testing.assert_array_equal(getattr(later, name), getattr(whole, name)[KEPT:], err_msg=name)


def test_a_state_of_version_1_goes_on_where_it_was(golden):
    """Kept states must not change their meaning: who changes format or method raises `version`, and keeps this file."""
    stream = SpikeStream.from_bytes(golden)
    assert (stream.samples, stream.series, stream.step_s) == (KEPT, 2, STEP_S)
    assert stream.detector == AdaptiveDetector(threshold=1.25)
    check_goes_on(stream)


def test_the_bytes_of_today_are_those_of_version_1(golden, state):
    """Of what is packed: another zlib may pack it otherwise."""
    assert zlib.decompress(golden) == zlib.decompress(state)
    assert zlib.decompress(SpikeStream.from_bytes(golden).to_bytes()) == zlib.decompress(golden)


def test_the_bytes_are_what_the_layout_says(state):
    plain, known = zlib.decompress(state), read(state, FIELDS)
    assert plain.startswith(MAGIC)
    assert len(plain) == HEAD + 2 * (SECOND - HEAD) + 8
    assert struct.unpack("<Q", plain[-8:]) == (checksum(plain[:-8]),)
    assert (known["version"], known["threshold"], known["both"]) == (1, 1.25, 1)
    assert (known["step_s"], known["samples"], known["series"]) == (STEP_S, KEPT, 2)
    first = USAGE[:KEPT, 0]
    observed = first[~np.isnan(first)]
    assert (known["observed"], known["slot"], known["before"]) == (len(observed), KEPT % 24, observed[-1])
    assert known["delay[0]"] in observed[-2:]
    assert (known["level.count"], known["recent.count"]) == (min(len(observed), 500), min(len(observed), 84))
    twin = Adaptive(step_s=STEP_S, threshold=1.25)
    for u in first:
        twin.add(u)
    assert known["level.mean"] == pytest.approx(twin.level.mean, rel=1e-12)
    assert known["habituation"] == pytest.approx(twin.habituation, rel=1e-12)
    counted = sum(known[f"rarity0.{side}[{i}]"] for side in ("above", "below") for i in range(322))
    assert counted == len(observed) - 1  # the first has nothing to deviate from


def restore(state):
    return SpikeStream.from_bytes(state)


def check_refused(state, *words):
    with clear_error(InvalidInput, *(words or ("",))) as caught:
        restore(state)
    assert str(caught.value).startswith("state: "), caught.value


def restored_or_refused(state):
    """The stream; None where it was refused as a state is."""
    try:
        return restore(state)
    except InvalidInput:
        check_refused(state)
        return None


def test_every_truncation_is_refused(state):
    for length in {*range(120), *range(0, len(state), 29), *range(len(state) - 20, len(state))}:
        check_refused(state[:length])


def test_every_flipped_byte_or_bit_is_refused_or_meant_nothing(state):
    """Packing says some things in several ways (zeros are those from here or from there), and pads its last byte."""
    places = {*range(40), *range(0, len(state), 7), *range(len(state) - 12, len(state))}
    damages = [(place, 0xFF) for place in places] + [(bit // 8, 1 << bit % 8) for bit in range(7, 8 * len(state), 61)]
    harmless = 0
    for place, damage in damages:
        damaged = bytearray(state)
        damaged[place] ^= damage
        stream = restored_or_refused(bytes(damaged))
        if stream is not None:
            harmless += 1
            assert stream.to_bytes() == state
    assert harmless < len(damages) / 10


def test_what_is_packed_is_guarded_by_itself(state):
    """A state that was unpacked, damaged and packed again has a sound packing."""
    plain = zlib.decompress(state)
    for place in {*range(HEAD), *range(HEAD, len(plain), 97), *range(len(plain) - 8, len(plain))}:
        for damage in (0x01, 0x80):
            check_refused(zlib.compress(plain[:place] + bytes([plain[place] ^ damage]) + plain[place + 1 :]))
    for length in {*range(HEAD + 3), *range(0, len(plain), 997), len(plain) - 1}:
        check_refused(zlib.compress(plain[:length]))


def test_nothing_may_follow(state):
    for more in (b"\0", b"x", state, bytes(1000)):
        check_refused(state + more, "must be whole, and nothing more")
    plain = zlib.decompress(state)
    check_refused(zlib.compress(plain + b"\0"), f"must be whole (got {len(plain) + 1} of {len(plain)} bytes)")


def test_another_beginning_is_refused(state):
    plain = zlib.decompress(state)
    for other in (b"", b"\0", b"surgetank", b"no such thing" * 9, plain, b"\x80\x04N.", b"PK\x03\x04", state[::-1]):
        check_refused(other, "must be")
    for inside in (b"", MAGIC, MAGIC + bytes(41), b"surgetank Spikes" + plain[16:], plain[1:]):
        check_refused(zlib.compress(inside), "must be")


@pytest.mark.parametrize("version", [0, 2, 2**32 + 1, 2**64 - 1])
def test_another_version_is_said_to_be_one(state, version):
    check_refused(patched(state, FIELDS, version=version), f"state: must be of version {VERSION} (got {version})")


@pytest.mark.parametrize("kept", [None, "surgetank", 5, 1.5, [1, 2], np.zeros(4), {}, object], ids=repr)
def test_what_are_no_bytes_is_refused(kept):
    check_refused(kept, "state: must be the bytes that SpikeStream.to_bytes() gave (got ")


def test_few_bytes_do_not_unpack_to_many(state):
    """A bomb: 200 KB that stand for 200 MB, after a head that promises little."""
    bomb = zlib.compress(bytes(body_of(state)) + bytes(200_000_000), 9)
    assert len(bomb) < 10**6
    tracemalloc.start()
    try:
        check_refused(bomb)
        assert tracemalloc.get_traced_memory()[1] < 3 * len(bomb) + 10**6
    finally:
        tracemalloc.stop()


def test_a_head_that_promises_much_is_not_believed(state):
    """Nothing is allocated for series that are not there."""
    for series in (3, 10**6, 2**32):
        check_refused(patched(state, FIELDS, series=series), "must be whole")
    for step_s in (1.0, 1e-300):  # a day of 86,400 samples
        check_refused(patched(state, FIELDS, step_s=step_s), "must be whole")
    check_refused(patched(state, FIELDS, series=1), "must be whole")


HEADS = {
    "threshold": (0.0, -1.5, np.nan, np.inf, -np.inf),
    "step_s": (0.0, -3600.0, np.nan, np.inf),
    "samples": (-1, -(2**63), 2**62, 2**63 - 1),
    "series": (0, -1, -(2**63), 2**32 + 1, 2**63 - 1),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_that_cannot_be_is_refused(state, name):
    for value in HEADS[name]:
        check_refused(patched(state, FIELDS, **{name: value}), "state: must be what SpikeStream.to_bytes() gave (got")


SIZES = {"hour": 1, "two_hours": 2, "day": 24, "moved": 2, "surprise": 1}
PLACES = {f"{window}.place": size for window, size in SIZES.items()} | {"delayed": 2, "slot": 24}
COUNTS = ("level.count", "movement.count", "recent.count", "spread.count", "observed", "since")


@pytest.mark.parametrize("name", PLACES)
def test_a_place_outside_is_refused(state, name):
    for value in (-1, PLACES[name], PLACES[name] + 1, 2**32, 2**63 - 1, -(2**63)):
        check_refused(patched(state, FIELDS, **{name: value}), "places outside")
    restore(patched(state, FIELDS, **{name: PLACES[name] - 1})).update(USAGE)


@pytest.mark.parametrize("name", COUNTS)
def test_a_count_that_would_overflow_is_refused(state, name):
    for value in (-1, -(2**63), 2**62, 2**63 - 1):
        check_refused(patched(state, FIELDS, **{name: value}))
    restore(patched(state, FIELDS, **{name: 2**62 - 1})).update(USAGE)


@pytest.mark.parametrize("rarity", range(5))
def test_ranks_that_would_overflow_are_refused(state, rarity):
    name = f"rarity{rarity}"
    for at in (0, 1, 160, 321):
        for value in (-1, -(2**31), 2**30, 2**31 - 1):
            check_refused(patched(state, FIELDS, **{f"{name}.above[{at}]": value}))
    spread_out = {f"{name}.below[{at}]": 2**25 for at in range(1, 33)}  # none of which is much, but 2³⁰ together
    check_refused(patched(state, FIELDS, **spread_out))
    for side in (0, 1):
        for value in (-2, 322, -(2**31), 2**31 - 1):
            check_refused(patched(state, FIELDS, **{f"{name}.record[{side}]": value}))
    restore(patched(state, FIELDS, **{f"{name}.above[321]": 2**29, f"{name}.record[0]": 321})).update(USAGE)


STRANGE = (np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, -1e308, 1.7e308, -1.0)


def test_numbers_that_no_series_leaves_do_no_harm(state):
    """Any double may be there: scores are then of no use, but every sample is answered."""
    doubles = [name for name, (at, form) in FIELDS.items() if form == "<d" and at >= HEAD]
    for value in STRANGE:
        stream = restore(patched(state, FIELDS, **dict.fromkeys(doubles, value)))
        found = stream.update(USAGE)
        assert found.flags.shape == USAGE.shape
        assert stream.samples == KEPT + len(USAGE)
    random = np.random.default_rng(0)
    for _ in range(60):
        chosen = random.choice(doubles, size=random.integers(1, 12), replace=False)
        changes = {name: random.choice(STRANGE) for name in chosen}
        stream = restore(patched(state, FIELDS, **changes))
        later = stream.update(USAGE[:60])
        assert np.isfinite(later.scores[:, 1][~np.isnan(USAGE[:60, 1])]).all()  # the other series has its own
        stream.to_bytes()


def test_bytes_at_random_are_refused_or_do_no_harm(state):
    """With a correct checksum: whoever writes it may write anything."""
    body, random, taken = bytes(body_of(state)), np.random.default_rng(1), 0
    for trial in range(120):
        changed = bytearray(body)
        for _ in range(trial % 7 + 1):
            at = int(random.integers(HEAD, len(body) - 8))
            changed[at : at + 8] = random.bytes(8)
        stream = restored_or_refused(sealed(bytes(changed)))
        if stream is not None:
            taken += 1
            stream.update(USAGE)
            restore(stream.to_bytes())
    assert 0 < taken < 120
