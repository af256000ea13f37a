"""Spikes: which samples stand out from what came just before them?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from .. import _bridge, _core
from .._bridge import Duration
from ..errors import invalid, nearest
from ..history import History
from ..history.given import Given
from .detectors import USUAL_STEP_S, AdaptiveDetector, Detector, check_detector
from .result import Spikes

OUTPUTS = ("flags", "scores", "likelihood", "ratios", "episodes")


def detect_spikes(
    usage: ArrayLike | History,
    *,
    step_s: Duration | None = None,
    detector: Detector | None = None,
    outputs: Sequence[str] = OUTPUTS,
    threads: int = 1,
) -> Spikes:
    """Find samples that stand out from what came just before them.

    Parameters
    ----------
    usage : (T,), (T, R) or (T, S, R) numbers, a frame, or History
        Samples at equal steps, in any unit, oldest first; any finite value, NaN for not observed. Float64 in C or
        Fortran order is taken without a copy.
    step_s : float (seconds) or timedelta, optional
        One step. History and frames know their own; arrays are taken for samples of 300 s. Only `AdaptiveDetector`
        reads it.
    detector : AdaptiveDetector or RollingSigma, optional
        Default ``AdaptiveDetector()``.
    outputs : sequence of str
        Which of flags, scores, likelihood, ratios, episodes to compute. ``()`` gives only count, p95_ratio and
        max_ratio, without any array of the input's size.
    threads : int, default 1
        0 for as many as the machine has. The answer is the same to the last bit.

    Returns
    -------
    Spikes
        ``flags`` bool (T, …); ``scores``, ``likelihood``, ``ratios`` float64 (T, …), NaN where undefined;
        ``episodes``; ``count``, ``p95_ratio``, ``max_ratio`` (…). Arrays are read-only.

    Raises
    ------
    InvalidInput
        Empty or infinite usage, an unknown output, a negative number of threads, or an option the detector refuses.

    Notes
    -----
    Calls share no state: any number may run at once, and the GIL is released. To go on where the last call stopped, use
    `SpikeStream`.

    Examples
    --------
    >>> import surgetank
    >>> day = [5.0 + hour % 3 for hour in range(24)]
    >>> found = surgetank.detect_spikes([*day * 7, 50.0, *day], step_s=3600, outputs=("flags",))
    >>> int(found.count), round(float(found.max_ratio), 3), int(found.flags.argmax())
    (3, 8.326, 168)
    """
    detector = AdaptiveDetector() if detector is None else detector
    check_detector(detector)
    wanted, workers = wanted_outputs(outputs), _bridge.threads(threads)
    given = Given.read(usage)
    own_step_s = USUAL_STEP_S if given.history is None else given.history.step_s
    step = own_step_s if step_s is None else _bridge.duration_s(step_s, "step_s", above=True)
    raw = detector._detect(given.matrix, step, asked_of_core(wanted), workers)
    return spikes_of(raw, given, detector=detector, outputs=wanted)


def asked_of_core(wanted: tuple[str, ...]) -> _core.SpikeOutputs:
    """Say to the core what was asked for; episodes cost little and come with flags."""
    asked = _core.SpikeOutputs()
    for name in wanted:
        setattr(asked, name, True)
    asked.episodes = asked.episodes or asked.flags
    return asked


def spikes_of(raw: _core.SpikeColumns, given: Given, *, detector: Detector, outputs: tuple[str, ...]) -> Spikes:
    """Give the core's arrays the shape and the names of the usage they are about."""
    shape, history = given.shape, given.history
    whole = (given.matrix.shape[0], *shape)
    arrays = {"flags": raw["flags"], "scores": raw["scores"], "likelihood": raw["likelihood"], "ratios": raw["ratios"]}
    found: dict[str, Any] = {name: None if a is None else a.reshape(whole) for name, a in arrays.items()}
    found["episodes"] = raw["episodes"]
    return Spikes(
        detector=detector,
        outputs=outputs,
        series=given.names,
        count=_bridge.like_instant(raw["count"], shape),
        p95_ratio=_bridge.like_instant(raw["p95_ratio"], shape),
        max_ratio=_bridge.like_instant(raw["max_ratio"], shape),
        _shape=shape,
        _start=None if history is None else (history.start_s, history.step_s),
        _found=found,
    )


def wanted_outputs(outputs: Sequence[str]) -> tuple[str, ...]:
    """Give the names of outputs, each of them known."""
    wanted = _bridge.names(outputs, "outputs")
    for name in wanted:
        if name not in OUTPUTS:
            raise invalid("outputs", f"must be among {', '.join(OUTPUTS)}{nearest(str(name), OUTPUTS)}", name)
    return wanted
