"""surgetank: is there enough headroom between usage and quotas to survive the loss of a Region?

The names below are in the order of the flow: history, then detect, size, allocate, plan, recover;
and `backtest`, which replays detect and size over the past.
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from . import _core as _core  # the instruction set is chosen now
from .errors import CollectError, InvalidInput, MissingExtra, NumericalFailure, StoreError, SurgetankError

if TYPE_CHECKING:
    from .adequacy import Adequacy, AdequacyScenario, AdequacyTest, adequacy
    from .allocation import (
        NAMED_SHARING,
        Allocation,
        DoubleBooking,
        Proportional,
        Survive,
        TierCurve,
        allocate,
        double_booking,
        evacuate,
        tier_curve,
        zone_capacity,
    )
    from .backtest import (
        Backtest,
        Choice,
        Clairvoyant,
        Cost,
        ForecastRule,
        LearnedRule,
        Past,
        PeakRule,
        PercentileRule,
        RulePolicy,
        SizedRule,
        ThresholdRule,
        Tuned,
        backtest,
        default_policies,
        estimate_tuning_s,
        grid,
        tune,
    )
    from .collect import Collected, CollectPlan, collect
    from .failover import (
        Failback,
        Failover,
        Move,
        activate_failover,
        cancel_failover,
        prepare_failover,
        recover_failover,
        replan_failover,
    )
    from .headroom import ClassicPolicy, Headroom, QuantilePolicy, probability_enough, size_headroom
    from .history import History, ImportReport, Quota, QuotaKey
    from .history.dynamodb.store import DynamoStore
    from .history.places import open_store
    from .history.reservations import Claim, Reservation, Reservations
    from .history.sqlite import Store
    from .plan import Plan, Thresholds, plan
    from .recovery import (
        Branch,
        Capacity,
        DataStore,
        Distribution,
        Empirical,
        Exponential,
        Fixed,
        Gamma,
        Lognormal,
        Mixture,
        Pert,
        Recovery,
        Runbook,
        Step,
        Target,
        Triangular,
        Truncated,
        Uniform,
        Weibull,
        compare_runbooks,
        estimate_recovery,
        judge,
        read_runbook,
        runbook_toml,
        shipped_names,
        shipped_runbook,
    )
    from .scenario import SHIPPED_SCENARIOS, Scenario
    from .spikes import AdaptiveDetector, Episode, RollingSigma, Spikes, SpikeStream, detect_spikes
    from .summary import Summary, cpu, summarize
    from .verdict import Verdict, check

__version__ = "0.1.0"

__all__ = [  # noqa: RUF022  (in the order of the flow)
    "collect",
    "CollectPlan",
    "Collected",
    "History",
    "ImportReport",
    "Quota",
    "QuotaKey",
    "Store",
    "DynamoStore",
    "open_store",
    "Reservation",
    "Reservations",
    "Claim",
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
    "allocate",
    "Allocation",
    "Survive",
    "evacuate",
    "Proportional",
    "NAMED_SHARING",
    "double_booking",
    "DoubleBooking",
    "tier_curve",
    "TierCurve",
    "zone_capacity",
    "plan",
    "Plan",
    "Thresholds",
    "check",
    "Verdict",
    "prepare_failover",
    "activate_failover",
    "replan_failover",
    "recover_failover",
    "cancel_failover",
    "Failover",
    "Failback",
    "Move",
    "adequacy",
    "Adequacy",
    "AdequacyTest",
    "AdequacyScenario",
    "estimate_recovery",
    "Recovery",
    "compare_runbooks",
    "judge",
    "Target",
    "Runbook",
    "Step",
    "Branch",
    "DataStore",
    "Capacity",
    "Distribution",
    "Fixed",
    "Uniform",
    "Triangular",
    "Pert",
    "Lognormal",
    "Gamma",
    "Exponential",
    "Weibull",
    "Empirical",
    "Mixture",
    "Truncated",
    "read_runbook",
    "runbook_toml",
    "shipped_names",
    "shipped_runbook",
    "backtest",
    "Backtest",
    "tune",
    "Tuned",
    "estimate_tuning_s",
    "default_policies",
    "Choice",
    "PercentileRule",
    "PeakRule",
    "ThresholdRule",
    "ForecastRule",
    "LearnedRule",
    "SizedRule",
    "RulePolicy",
    "Clairvoyant",
    "grid",
    "Cost",
    "Past",
    "SurgetankError",
    "InvalidInput",
    "NumericalFailure",
    "StoreError",
    "CollectError",
    "MissingExtra",
    "cpu",
]

# A job that imports surgetank pays for what it uses: each name is loaded, with its module, on first use.
_HOMES = {
    "collect": ("collect", "CollectPlan", "Collected"),
    "history": ("History", "ImportReport", "Quota", "QuotaKey"),
    "history.sqlite": ("Store",),
    "history.dynamodb.store": ("DynamoStore",),
    "history.places": ("open_store",),
    "history.reservations": ("Reservation", "Reservations", "Claim"),
    "scenario": ("Scenario", "SHIPPED_SCENARIOS"),
    "summary": ("summarize", "Summary", "cpu"),
    "spikes": ("detect_spikes", "AdaptiveDetector", "RollingSigma", "SpikeStream", "Spikes", "Episode"),
    "headroom": ("size_headroom", "probability_enough", "QuantilePolicy", "ClassicPolicy", "Headroom"),
    "allocation": (
        "allocate",
        "Allocation",
        "Survive",
        "evacuate",
        "Proportional",
        "NAMED_SHARING",
        "double_booking",
        "DoubleBooking",
        "tier_curve",
        "TierCurve",
        "zone_capacity",
    ),
    "plan": ("plan", "Plan", "Thresholds"),
    "verdict": ("check", "Verdict"),
    "failover": (
        "prepare_failover",
        "activate_failover",
        "replan_failover",
        "recover_failover",
        "cancel_failover",
        "Failover",
        "Failback",
        "Move",
    ),
    "adequacy": ("adequacy", "Adequacy", "AdequacyTest", "AdequacyScenario"),
    "recovery": (
        "estimate_recovery",
        "Recovery",
        "compare_runbooks",
        "judge",
        "Target",
        "Runbook",
        "Step",
        "Branch",
        "DataStore",
        "Capacity",
        "Distribution",
        "Fixed",
        "Uniform",
        "Triangular",
        "Pert",
        "Lognormal",
        "Gamma",
        "Exponential",
        "Weibull",
        "Empirical",
        "Mixture",
        "Truncated",
        "read_runbook",
        "runbook_toml",
        "shipped_names",
        "shipped_runbook",
    ),
    "backtest": (
        "backtest",
        "Backtest",
        "tune",
        "Tuned",
        "estimate_tuning_s",
        "default_policies",
        "Choice",
        "PercentileRule",
        "PeakRule",
        "ThresholdRule",
        "ForecastRule",
        "LearnedRule",
        "SizedRule",
        "RulePolicy",
        "Clairvoyant",
        "grid",
        "Cost",
        "Past",
    ),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def _load(name: str) -> object:
    """Load a public name on first use, or a module of ours, and keep it."""
    if name in _HOME:
        value: object = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    elif name in _HOMES:
        value = importlib.import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


if not TYPE_CHECKING:  # else every name would be known
    __getattr__ = _load


def __dir__() -> list[str]:
    """Name what is public, loaded or not."""
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """Whoever imports the module `surgetank.plan` makes Python set it as `surgetank.plan`, which is the function."""

    def __setattr__(self, name: str, value: object) -> None:
        if name in _HOME and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
