"""Headroom: how much room must each quota keep free, and is it there?"""

from .classic import ClassicPolicy
from .policy import Policy
from .quantile import QuantilePolicy
from .result import EventNeeds, Headroom, JointFit
from .sizing import CRITICAL_FRAC, WARNING_FRAC, Enough, probability_enough, size_headroom

#: The policies by name, the default first.
POLICIES: dict[str, type[QuantilePolicy] | type[ClassicPolicy]] = {
    policy.name: policy for policy in (QuantilePolicy, ClassicPolicy)
}

__all__ = [
    "CRITICAL_FRAC",
    "POLICIES",
    "WARNING_FRAC",
    "ClassicPolicy",
    "Enough",
    "EventNeeds",
    "Headroom",
    "JointFit",
    "Policy",
    "QuantilePolicy",
    "probability_enough",
    "size_headroom",
]
