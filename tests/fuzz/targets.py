"""Every target by its name. Each loads only what it fuzzes: there are many, and each is a process of its own."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One of them: a function of one of the modules here."""

    module: str
    name: str
    of: str = ""  # what the first byte of an input chooses from, in that module; without it, it is part of the file
    words: str = ""  # the dictionary, in `seeds`
    longest: int = 4096

    @property
    def package(self) -> str:
        """Where the code lies whose coverage guides."""
        return "surgetank" if self.module == "settings" else "surgetank.history"

    @property
    def run(self) -> Callable[[bytes], None]:
        """Fuzz with one input."""
        return getattr(importlib.import_module(f"fuzz.{self.module}"), self.name)

    @property
    def choices(self) -> int:
        """How many options there are to choose from; 0 where there are none."""
        return len(getattr(importlib.import_module(f"fuzz.{self.module}"), self.of)) if self.of else 0


_ALL = (
    Target("tables", "csv_usage", "USAGE", "csv.dict", 2048),
    Target("tables", "csv_quotas", "QUOTAS", "csv.dict", 2048),
    Target("tables", "arrow", "USAGE", "", 16384),
    Target("tables", "zipped", "WAYS", "csv.dict", 2048),
    Target("tables", "anything", "EITHER", "csv.dict", 16384),
    Target("answers", "aws", "HOW", "json.dict"),
    Target("answers", "aws_quotas", "HOW", "json.dict"),
    Target("answers", "prometheus", "HOW", "json.dict"),
    Target("made", "made", "", "", 256),
    Target("words", "instants", "TZ", "csv.dict", 64),
    Target("words", "numbers", "", "csv.dict", 256),
    Target("words", "headers", "TEMPLATES", "csv.dict", 512),
    Target("words", "labels", "", "", 128),
    Target("settings", "toml", "", "toml.dict"),
    Target("settings", "runbook", "", "runbook.dict"),
    Target("settings", "region_switch", "NAMES", "plan.dict"),
    Target("settings", "gate", "GATES", "json.dict"),
    Target("settings", "state", "", "json.dict"),
)
TARGETS = {target.name: target for target in _ALL}
