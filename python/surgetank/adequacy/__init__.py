"""The gate for pipelines: when the primary Region fails or surges, is there room for its load?"""

from .judging import adequacy
from .raising import Recommendation
from .result import Adequacy, Case, RampTable, ScenarioAdequacy
from .room import Ramp, RampStep, Room
from .setting import SHIPPED, AdequacyScenario, AdequacyTest

__all__ = [
    "SHIPPED",
    "Adequacy",
    "AdequacyScenario",
    "AdequacyTest",
    "Case",
    "Ramp",
    "RampStep",
    "RampTable",
    "Recommendation",
    "Room",
    "ScenarioAdequacy",
    "adequacy",
]
