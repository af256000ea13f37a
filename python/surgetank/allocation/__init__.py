"""Stem `allocation`: which headroom survives every failure at least cost; and in the event, who takes how much."""

from .evacuation import Evacuation, evacuate
from .event import NAMED_SHARING, Proportional, Shared
from .options import Survive
from .promises import DoubleBooking, double_booking
from .result import Allocation, Binding, Certificate
from .survive import allocate
from .tiers import TierCurve, ZoneCapacity, tier_curve, zone_capacity
from .transfers import Transfers

__all__ = [
    "NAMED_SHARING",
    "Allocation",
    "Binding",
    "Certificate",
    "DoubleBooking",
    "Evacuation",
    "Proportional",
    "Shared",
    "Survive",
    "TierCurve",
    "Transfers",
    "ZoneCapacity",
    "allocate",
    "double_booking",
    "evacuate",
    "tier_curve",
    "zone_capacity",
]
