"""One failover as data: normal → preparing → active → recovering → normal, kept in a store with who, when and why."""

from .actions import activate_failover, cancel_failover, prepare_failover, recover_failover, replan_failover
from .life import Failback, Failover
from .move import Move

__all__ = [
    "Failback",
    "Failover",
    "Move",
    "activate_failover",
    "cancel_failover",
    "prepare_failover",
    "recover_failover",
    "replan_failover",
]
