"""Recovery: will service be back in time, how much data is lost, and what drives it?"""

from .capacity import Capacity
from .comparison import compare_runbooks
from .distributions import (
    Distribution,
    Empirical,
    Exponential,
    Fixed,
    Gamma,
    Lognormal,
    Mixture,
    Pert,
    Triangular,
    Truncated,
    Uniform,
    Weibull,
)
from .estimate import estimate_recovery
from .models import MODELS
from .reading import read_runbook, runbook_toml
from .result import Recovery
from .runbook import Branch, DataStore, Runbook, Step
from .shipped import shipped_names, shipped_runbook
from .target_sets import Target
from .targets import judge

__all__ = [
    "MODELS",
    "Branch",
    "Capacity",
    "DataStore",
    "Distribution",
    "Empirical",
    "Exponential",
    "Fixed",
    "Gamma",
    "Lognormal",
    "Mixture",
    "Pert",
    "Recovery",
    "Runbook",
    "Step",
    "Target",
    "Triangular",
    "Truncated",
    "Uniform",
    "Weibull",
    "compare_runbooks",
    "estimate_recovery",
    "judge",
    "read_runbook",
    "runbook_toml",
    "shipped_names",
    "shipped_runbook",
]
