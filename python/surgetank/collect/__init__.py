"""From AWS into the store: quotas and usage of many accounts and Regions, asked for and never computed.

Only this package knows botocore (extra ``[aws]``), and only a call that asks AWS something loads it.
"""

from .collecting import collect, collect_into
from .planned import CollectPlan
from .policy import dry_run, iam_policy
from .result import Collected, Missing

__all__ = ["CollectPlan", "Collected", "Missing", "collect", "collect_into", "dry_run", "iam_policy"]
