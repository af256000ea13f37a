"""What every test file may use."""

import importlib.util
import re
import signal
from pathlib import Path

import pytest

# Property tests build small arrays over and over; a slow shared runner must not fail them on time.
from hypothesis import settings

from dynamodb_local import dynamodb, dynamodb_fleet, dynamodb_keys, dynamodb_tables  # noqa: F401  (fixtures)

settings.register_profile("surgetank", deadline=None, derandomize=True)
settings.load_profile("surgetank")

# Run in the background of a script, Ctrl-C is ignored, and so it would be by the processes that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_data():
    """Real series, kept beside the repository and not inside it (see their README for sources and licences)."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real data here: ../shared/data is not beside the repository")
    return folder


@pytest.fixture(params=["dynamodb", "embedded"])
def kind(request):
    """What the store of a test is kept in; every kind keeps the same promises."""
    if request.param == "dynamodb":
        request.getfixturevalue("dynamodb_fleet")
    return request.param


def _missing(path):
    """Optional packages that a test file, or one it takes from, imports and that are not installed."""
    text = path.read_text(encoding="utf-8")
    names = re.findall(r"^import (botocore|pandas|polars|pyarrow)\b", text, re.MULTILINE)
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    others = re.findall(r"^from ((?:test|fake)_\w+) import", text, re.MULTILINE)
    return missing + [name for other in others for name in _missing(path.with_name(f"{other}.py"))]


# Without the optional packages the rest must still pass: that is how an installation without extras is tested.
LEFT_OUT = {path.name: missing for path in Path(__file__).parent.glob("test_*.py") if (missing := _missing(path))}
collect_ignore = list(LEFT_OUT)


def pytest_report_header():
    return [f"left out: {name}, because {', '.join(missing)} is not installed" for name, missing in LEFT_OUT.items()]
