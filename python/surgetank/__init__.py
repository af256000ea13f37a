"""surgetank: is there enough headroom between usage and quotas to survive the loss of a Region?

The names below are in the order of the flow: history, then detect, size, plan.
"""

from typing import TYPE_CHECKING

from .errors import InvalidInput, MissingExtra, NumericalFailure, StoreError, SurgetankError
from .headroom import ClassicPolicy, Headroom, QuantilePolicy, probability_enough, size_headroom
from .history import History, ImportReport, Quota, QuotaKey
from .plan import Plan, Thresholds, plan
from .scenario import SHIPPED_SCENARIOS, Scenario
from .spikes import AdaptiveDetector, Episode, RollingSigma, Spikes, SpikeStream, detect_spikes
from .summary import Summary, cpu, summarize
from .verdict import Verdict, check

if TYPE_CHECKING:
    from .history.sqlite import Store

__version__ = "0.1.0"

__all__ = [  # noqa: RUF022  (in the order of the flow)
    "History",
    "ImportReport",
    "Quota",
    "QuotaKey",
    "Store",
    "Scenario",
    "SHIPPED_SCENARIOS",
    "summarize",
    "Summary",
    "detect_spikes",
    "AdaptiveDetector",
    "RollingSigma",
    "SpikeStream",
    "Spikes",
    "Episode",
    "size_headroom",
    "probability_enough",
    "QuantilePolicy",
    "ClassicPolicy",
    "Headroom",
    "plan",
    "Plan",
    "Thresholds",
    "check",
    "Verdict",
    "SurgetankError",
    "InvalidInput",
    "NumericalFailure",
    "StoreError",
    "MissingExtra",
    "cpu",
]


def __getattr__(name: str) -> object:
    """Load the store on first use: most jobs that import surgetank never open one."""
    if name == "Store":
        from .history.sqlite import Store

        return Store
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Name what is public, the store included."""
    return sorted({*globals(), *__all__})
