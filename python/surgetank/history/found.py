"""What one source held."""

from __future__ import annotations

from dataclasses import dataclass, field

from .keys import Quota
from .spool import Gathered


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a source holds: usage, quotas, or (JSON documents one after another) both."""

    name: str
    samples: Gathered | None = None
    quotas: list[Quota] = field(default_factory=list)
    defaults: list[Quota] = field(default_factory=list)  # AWS's default values; whose account, nobody says
    notes: tuple[str, ...] = ()  # of quotas; what is to be known of samples is in their report
