"""Backtest: which policy would have kept us safe, at what cost, and how sure is that?"""

from .choice import Choice
from .clairvoyant import Clairvoyant
from .cost import Cost
from .custom import Past
from .replaying import backtest
from .result import Backtest, Totals
from .rules import PeakRule, PercentileRule, ThresholdRule, grid
from .sized import SizedRule

__all__ = [
    "Backtest",
    "Choice",
    "Clairvoyant",
    "Cost",
    "Past",
    "PeakRule",
    "PercentileRule",
    "SizedRule",
    "ThresholdRule",
    "Totals",
    "backtest",
    "grid",
]
