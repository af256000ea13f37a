"""The recommended detector on samples as they come, with a state that can be kept."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from .. import _bridge, _core
from .._bridge import Duration
from ..errors import InvalidInput, invalid
from ..history.given import Given
from .detect import OUTPUTS, asked_of_core, spikes_of, wanted_outputs
from .detectors import USUAL_STEP_S, AdaptiveDetector
from .result import Spikes


class SpikeStream:
    """`detect_spikes` with `AdaptiveDetector`, a few samples at a time: every sample is judged as in one long call.

    Parameters
    ----------
    detector : AdaptiveDetector, optional
        Default ``AdaptiveDetector()``.
    series : int, default 1
        How many series arrive side by side.
    step_s : float (seconds) or timedelta, default 300
        One step. Samples must arrive at equal steps: pass NaN for those that did not.

    Raises
    ------
    InvalidInput
        Names the argument, the rule and the value.

    Notes
    -----
    A scheduled job keeps ``to_bytes()`` between its runs and goes on with ``SpikeStream.from_bytes``. The bytes have a
    version and a checksum, are the same on every machine, and are data, never code: nothing in them is executed.
    A stream is a sequence: calls from several threads are taken one after another. An `update` that is refused or
    interrupted leaves the stream as it was.

    Examples
    --------
    >>> import surgetank
    >>> stream = surgetank.SpikeStream(step_s=3600)
    >>> quiet = stream.update([5.0 + hour % 3 for hour in range(168)])
    >>> later = surgetank.SpikeStream.from_bytes(stream.to_bytes())
    >>> int(later.update([50.0]).count), later.samples
    (1, 169)
    """

    def __init__(
        self, detector: AdaptiveDetector | None = None, *, series: int = 1, step_s: Duration = USUAL_STEP_S
    ) -> None:
        """Begin with nothing learnt."""
        detector = AdaptiveDetector() if detector is None else detector
        if not isinstance(detector, AdaptiveDetector):
            raise invalid("detector", "must be AdaptiveDetector(...): only it keeps a state", detector)
        if isinstance(series, bool) or not isinstance(series, int | np.integer) or not 1 <= series <= 10**7:
            raise invalid("series", "must be a whole number from 1 to 10,000,000", series)
        step = _bridge.duration_s(step_s, "step_s", above=True)
        self._stream = _core.AdaptiveStream(detector._core_options(step), int(series))

    @property
    def detector(self) -> AdaptiveDetector:
        """The options."""
        options = self._stream.options
        return AdaptiveDetector(direction="both" if options.both else "up", threshold=options.threshold)

    @property
    def step_s(self) -> float:
        """Seconds between samples."""
        return self._stream.options.step_s

    @property
    def series(self) -> int:
        """How many series arrive side by side."""
        return self._stream.series

    @property
    def samples(self) -> int:
        """Samples seen so far, of each series."""
        return self._stream.samples

    def update(self, usage: ArrayLike, *, outputs: Sequence[str] = OUTPUTS, threads: int = 1) -> Spikes:
        """Judge the next samples, and learn from them.

        Parameters
        ----------
        usage : (n,), (n, R) or (n, S, R) numbers
            The next n samples of every series, oldest first; any finite value, NaN for not observed.
        outputs : sequence of str
            As in `detect_spikes`.
        threads : int, default 1
            0 for as many as the machine has. The answer is the same to the last bit.

        Returns
        -------
        Spikes
            Of these samples alone: sample numbers count from the first of them, and an episode that began before
            begins at 0.

        Raises
        ------
        InvalidInput
            Empty or infinite usage, another number of series, a History or frame of another step, an unknown output;
            the stream is as before.
        """
        wanted, workers = wanted_outputs(outputs), _bridge.threads(threads)
        given = Given.read(usage)
        if given.matrix.shape[1] != self.series:
            raise invalid("usage", f"must have the stream's {self.series} series", f"shape {given.matrix.shape}")
        if given.history is not None and given.history.step_s != self.step_s:
            raise invalid("usage", f"must have the stream's step of {self.step_s:g} s", given.history.step_s)
        raw = self._stream.update(given.matrix, asked_of_core(wanted), workers)
        return spikes_of(raw, given, detector=self.detector, outputs=wanted)

    def to_bytes(self) -> bytes:
        """Give everything the stream knows, to be kept: some kilobytes for each series."""
        return zlib.compress(self._stream.save(), 1)

    @classmethod
    def from_bytes(cls, state: bytes) -> SpikeStream:
        """Go on from what `to_bytes` gave.

        Raises
        ------
        InvalidInput
            Anything else: damaged, cut short, or of another version.
        """
        if not isinstance(state, bytes | bytearray | memoryview):
            raise invalid("state", "must be the bytes that SpikeStream.to_bytes() gave", state)
        stream = cls.__new__(cls)
        stream._stream = _core.AdaptiveStream.restore(_unpacked(bytes(state)))
        return stream

    def __reduce__(self) -> tuple[Callable[[bytes], SpikeStream], tuple[bytes]]:
        """Pickle and copy as `to_bytes` does."""
        return type(self).from_bytes, (self.to_bytes(),)

    def __repr__(self) -> str:
        """Say what it watches and how far it is."""
        return f"SpikeStream({self.detector!r}, series={self.series}, step_s={self.step_s:g}, samples={self.samples})"


def _unpacked(state: bytes) -> bytes:
    """Decompress no more than the head says there is: a few bytes may stand for any number of them."""
    unpack = zlib.decompressobj()
    try:
        head = unpack.decompress(state, _core.AdaptiveStream.head_length)
        wanted = _core.AdaptiveStream.length(head)
        plain = head + unpack.decompress(unpack.unconsumed_tail, wanted - len(head) + 1)
    except zlib.error as error:
        raise InvalidInput("state: must be the bytes that SpikeStream.to_bytes() gave (got others)") from error
    if not unpack.eof or unpack.unused_data or unpack.unconsumed_tail:
        raise InvalidInput("state: must be whole, and nothing more (got too few bytes or too many)")
    return plain
