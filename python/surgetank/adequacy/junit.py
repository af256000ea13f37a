"""An adequacy test as JUnit XML, which every pipeline shows."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import printable

if TYPE_CHECKING:
    from .result import Adequacy, Case, ScenarioAdequacy

MOST_CHARACTERS = 2000


def junit_xml(found: Adequacy) -> str:
    """JUnit XML: a testsuite for each scenario, a testcase for each quota.

    ``failed`` is a failure, ``UNKNOWN`` an error, since nothing was found out; a ``warning`` passes, with its reason in
    system-out, since JUnit knows none. An empty list of the test (no services, no scenarios, no secondary Regions)
    is an error in a testsuite of its own, so that a report without tests is never green. ``time`` is how long judging
    took, in seconds; ``timestamp`` when it was done, in UTC.

    Names come from files, so that characters XML cannot hold, or that would not be seen, are written as escapes.
    """
    root = ET.Element("testsuites", name="surgetank adequacy")
    suites = [_suite(root, found, one) for one in found.scenarios]
    if found.lacking:
        suites.append(_lacking(root, found))
    for key in ("tests", "failures", "errors"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in suites)))
    root.set("time", _seconds(sum(one.took_s for one in found.scenarios)))
    root.set("timestamp", _instant(found))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(root: ET.Element, found: Adequacy, one: ScenarioAdequacy) -> ET.Element:
    suite = _open(root, found, one.scenario.name, [case.status for case in one.cases], one.took_s)
    properties = ET.SubElement(suite, "properties")
    head = {"primary_region": found.test.primary_region, "as_of": f"{found.as_of}Z", "status": one.status}
    head["secondary_regions"] = ", ".join(found.test.secondary_regions)
    for key, value in {**head, **one.scenario.to_dict()}.items():
        ET.SubElement(properties, "property", name=key, value=_text(str(value)))
    for case in one.cases:
        _case(suite, case)
    return suite


def _case(suite: ET.Element, case: Case) -> None:
    place = f"surgetank.{case.region}.{case.scenario}"
    test = ET.SubElement(suite, "testcase", classname=_text(place), name=_text(case.where), time=_seconds(case.took_s))
    if case.status == "passed":
        return
    details = "\n".join(_text(line) for line in (case.why, *(one.text for one in case.recommendations)))
    if case.status == "warning":
        ET.SubElement(test, "system-out").text = f"warning: {details}"
        return
    kind = "failure" if case.status == "failed" else "error"
    ET.SubElement(test, kind, message=_text(case.why), type=case.status).text = details


def _lacking(root: ET.Element, found: Adequacy) -> ET.Element:
    suite = _open(root, found, "what is tested", ["UNKNOWN"] * len(found.lacking), 0.0)
    for lack in found.lacking:
        test = ET.SubElement(suite, "testcase", classname="surgetank.test", name=lack, time=_seconds(0.0))
        ET.SubElement(test, "error", message=lack, type="UNKNOWN")
    return suite


def _open(root: ET.Element, found: Adequacy, name: str, statuses: Sequence[str], took_s: float) -> ET.Element:
    return ET.SubElement(
        root, "testsuite", name=_text(name), tests=str(len(statuses)), failures=str(statuses.count("failed")),
        errors=str(statuses.count("UNKNOWN")), skipped="0", time=_seconds(took_s), timestamp=_instant(found),
    )  # fmt: skip


def _seconds(value: float) -> str:
    return f"{value:.6f}"


def _instant(found: Adequacy) -> str:
    return found.made.removesuffix("Z")  # as the format has it: without a zone


def _text(text: str) -> str:
    return printable(text, MOST_CHARACTERS)
