"""Backtest: which policy would have kept us safe, at what cost, and how sure is that?"""

from .choice import Choice
from .clairvoyant import Clairvoyant
from .cost import Cost
from .custom import Past
from .figures import Totals
from .forecast import ForecastRule
from .learned import LearnedRule
from .planned import RulePolicy
from .replaying import backtest
from .result import Backtest
from .rules import PeakRule, PercentileRule, ThresholdRule, grid
from .sized import SizedRule
from .tuned import Tuned, Verdict
from .tuning import default_policies, estimate_tuning_s, tune
from .writing import planned_by, policy_toml, write_policy

__all__ = [
    "Backtest",
    "Choice",
    "Clairvoyant",
    "Cost",
    "ForecastRule",
    "LearnedRule",
    "Past",
    "PeakRule",
    "PercentileRule",
    "RulePolicy",
    "SizedRule",
    "ThresholdRule",
    "Totals",
    "Tuned",
    "Verdict",
    "backtest",
    "default_policies",
    "estimate_tuning_s",
    "grid",
    "planned_by",
    "policy_toml",
    "tune",
    "write_policy",
]
