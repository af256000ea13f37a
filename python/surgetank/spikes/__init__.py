"""Which samples stand out: the detectors, the call, the stream, the result."""

from .detect import detect_spikes
from .detectors import AdaptiveDetector, Detector, RollingSigma
from .result import Episode, Spikes
from .stream import SpikeStream

__all__ = ["AdaptiveDetector", "Detector", "Episode", "RollingSigma", "SpikeStream", "Spikes", "detect_spikes"]
