"""Which samples stand out: the detectors, the call, the stream, the result."""

from .detect import OUTPUTS, detect_spikes
from .detectors import DETECTOR_OPTIONS, AdaptiveDetector, Detector, RollingSigma, detector_of
from .result import Episode, Spikes
from .stream import SpikeStream

__all__ = [
    "DETECTOR_OPTIONS",
    "OUTPUTS",
    "AdaptiveDetector",
    "Detector",
    "Episode",
    "RollingSigma",
    "SpikeStream",
    "Spikes",
    "detect_spikes",
    "detector_of",
]
