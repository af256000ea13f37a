"""What was used and what is allowed: the data type, the readers and the stores."""

from .history import History
from .keys import Quota, QuotaKey
from .report import ImportReport

__all__ = ["History", "ImportReport", "Quota", "QuotaKey"]
