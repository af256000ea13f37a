"""Files of an adequacy test: a result for each scenario, and the template to start from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from .._files import replace_text
from .._toml import Source, text_of, with_table
from ..errors import InvalidInput, shown
from .setting import SHIPPED

if TYPE_CHECKING:
    from .result import Adequacy

HOUR_S, MINUTE_S = 3600.0, 60.0
LONGEST_NAME = 80
#: Names of devices, which some systems keep in every folder.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_PRIMARY, _SECONDARIES, _SERVICES = "us-east-1", ("us-west-2", "eu-west-1"), ("ec2", "lambda", "rds")


def write_results(found: Adequacy, folder: Path) -> tuple[Path, ...]:
    """Write a JSON file for each scenario into a folder, which is made where there is none; each whole or not at all.

    Raises
    ------
    InvalidInput
        The folder or a file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        rule = f"--out: must be a folder that can be written: {error.strerror}"
        raise InvalidInput(f"{rule} (got {shown(str(folder))})") from error
    names = [one.scenario.name for one in found.scenarios]
    places = []
    for name, file in zip(names, file_names(names), strict=True):
        replace_text(folder / file, json.dumps(found.scenario_dict(name), indent=2, allow_nan=False) + "\n")
        places.append(folder / file)
    return tuple(places)


def file_names(names: Iterable[str]) -> list[str]:
    """Names of files for scenarios: plain letters only, none of them a path, no two the same whatever the case.

    Examples
    --------
    >>> file_names(["az_failure", "../../etc/passwd", "AZ_failure"])
    ['az_failure.json', 'etc_passwd.json', 'AZ_failure-2.json']
    """
    found: list[str] = []
    taken: set[str] = set()
    for name in names:
        stem = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-")[:LONGEST_NAME] or "scenario"
        stem = f"_{stem}" if _DEVICES.fullmatch(stem) else stem
        own, number = stem, 1
        while own.lower() in taken:
            number += 1
            own = f"{stem}-{number}"
        taken.add(own.lower())
        found.append(f"{own}.json")
    return found


def template_json() -> str:
    """A test to start from, with the shipped scenarios."""
    configs = {
        scenario.name: {
            "kind": scenario.kind,
            "traffic_multiplier": scenario.multiplier,
            "duration_hours": scenario.duration_s / HOUR_S,
            "ramp_up_minutes": scenario.ramp_s / MINUTE_S,
        }
        for scenario in SHIPPED.values()
    }
    body = {
        "primary_region": _PRIMARY,
        "secondary_regions": _SECONDARIES,
        "services_to_test": _SERVICES,
        "test_scenarios": tuple(SHIPPED),
        "scenario_configs": configs,
    }
    return json.dumps(body, indent=2) + "\n"


def template_toml() -> str:
    """The same as a section of the TOML file."""
    lines = [
        "[test]    # the gate for pipelines, `surgetank test`: is there room for the load of the primary Region?",
        f'primary_region = "{_PRIMARY}"',
        f"secondary_regions = {json.dumps(_SECONDARIES)}",
        f"services = {json.dumps(_SERVICES)}    # ServiceCodes, or patterns such as ec2/L-1216C47A",
        f"scenarios = {json.dumps(tuple(SHIPPED))}",
    ]
    for scenario in SHIPPED.values():
        lines += [
            "",
            f"[test.scenario.{scenario.name}]",
            f'kind = "{scenario.kind}"',
            f"multiplier = {scenario.multiplier!r}",
            f'duration = "{scenario.duration_s / HOUR_S:g}h"',
            f'ramp = "{scenario.ramp_s / MINUTE_S:g}m"',
        ]
    return "\n".join(lines) + "\n"


def write_template(path: Path, *, force: bool = False) -> None:
    """Write the template: TOML where the name ends in .toml, else JSON.

    A file that is there is refused without ``force``. With it a TOML file keeps its other sections.

    Raises
    ------
    InvalidInput
        A file is there, cannot be read or cannot be written.
    """
    there = path.exists()
    if there and not force:
        what = "its section [test]" if path.suffix.lower() == ".toml" else "it"
        raise InvalidInput(f"{path}: is there already; --force replaces {what}")
    if path.suffix.lower() != ".toml":
        replace_text(path, template_json())
        return
    text = text_of(path) if there else ""
    before = Source.parse(path.name, text).body
    new = with_table(text, "test", template_toml())
    if {**Source.parse(path.name, new).body, "test": None} != {**before, "test": None}:
        rule = "must have its [test] as tables of their own to be replaced"
        raise InvalidInput(f"{path.name}: {rule} (got {shown(str(path))})")
    replace_text(path, new)
