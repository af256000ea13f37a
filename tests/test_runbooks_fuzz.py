"""Whatever a file of a runbook holds, the answer is a Runbook or one clear error."""

import importlib.util
import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from surgetank import InvalidInput, MissingExtra
from surgetank.recovery import Runbook
from surgetank.recovery.reading import parse_runbook, read_runbook, runbook_toml
from surgetank.recovery.shipped import shipped_names, shipped_text

TEXTS = [shipped_text(name) for name in shipped_names()]
WORDS = (
    '"', "'", "[", "]", "[[step]]", "[[branch]]", "{", "}", "=", ",", "\n", "#", "1e999", "nan", "-1", "0x" + "f" * 40,
    '"5m"', '"b:c"', "name", "after", "true", "1979-05-27", '"""', "\x00", "\u2028", "é", "9" * 30, "detect", "{}",
)  # fmt: skip
few = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def answer(path, data):
    """Read a file of these bytes; an error is one printable line that names the file."""
    path.write_bytes(data)
    try:
        runbook = read_runbook(path)
    except (InvalidInput, MissingExtra) as error:
        caught = error
    else:
        assert isinstance(runbook, Runbook)
        assert parse_runbook(runbook_toml(runbook)) == runbook
        return
    assert type(caught) in (InvalidInput, MissingExtra)
    assert str(caught).isprintable()
    assert path.name in str(caught)


@pytest.fixture
def folder(tmp_path):
    return tmp_path


@few
@given(st.binary(max_size=200), st.sampled_from(["a.toml", "a.json", "a.yaml", "a.template", "a"]))
@example(b"\x00", "a.yaml")
@example(b"%YAML 9.9\n---\n!", "a.yaml")
@example(b'a: "\\UFFFFFFFF"', "a.yaml")
@example(b"&a *a", "a.yaml")
@example(b"{? a}", "a.yaml")
def test_bytes(folder, data, name):
    answer(folder / name, data)


@st.composite
def damaged(draw):
    """A shipped runbook, some of whose pieces were cut out, doubled, moved, or replaced."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        end = min(len(text), at + draw(st.integers(0, 12)))
        text = text[:at] + draw(st.sampled_from(("", *WORDS, text[at:end] * 2))) + text[end:]
    return text


@few
@given(damaged())
def test_damaged_runbooks(folder, text):
    answer(folder / "a.toml", text.encode())


LINES = [line.strip() for text in TEXTS for line in text.splitlines() if "=" in line or line.startswith("[[")]


@few
@given(st.lists(st.sampled_from(sorted(set(LINES))), max_size=12))
def test_shuffled_lines(folder, lines):
    answer(folder / "a.toml", "\n".join(lines).encode())


plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(("activate", "Parallel", "EC2AutoScaling", "DocumentDb", "us-east-1", "name:x", "10" * 200)),
)
keys = st.sampled_from(
    (
        "Name", "name", "Workflows", "workflows", "Steps", "steps", "Resources", "Type", "Properties", "plan", "Ref",
        "ExecutionBlockType", "ExecutionBlockConfiguration", "ParallelConfig", "GlobalAuroraConfig", "TimeoutMinutes",
        "WorkflowTargetAction", "WorkflowTargetRegion", "RecoveryTimeObjectiveMinutes", "Fn::Sub", "Parameters",
    )
)  # fmt: skip
nested = st.recursive(
    plain, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)), max_leaves=15
)
step = st.fixed_dictionaries(
    {},
    optional={
        "Name": st.one_of(st.sampled_from("abc"), plain),
        "ExecutionBlockType": st.sampled_from(("DocumentDb", "EC2AutoScaling", "Parallel", "ManualApproval", "?")),
        "ExecutionBlockConfiguration": nested,
        "Steps": nested,
    },
)
flow = st.fixed_dictionaries(
    {"Steps": st.lists(step, max_size=3)},
    optional={"WorkflowTargetAction": plain, "WorkflowTargetRegion": plain},
)
plans = st.fixed_dictionaries(
    {"Workflows": st.lists(flow, max_size=3)}, optional={"Name": plain, "RecoveryTimeObjectiveMinutes": plain}
)


@few
@given(st.one_of(nested, plans))
def test_plans_in_json(folder, body):
    answer(folder / "a.json", json.dumps(body).encode())


@pytest.mark.skipif(importlib.util.find_spec("yaml") is None, reason="needs PyYAML")
@few
@given(
    st.one_of(nested, plans), st.integers(0, 400), st.sampled_from(("", "*a", "&a", "!Ref ", "? ", "- ", "<<: ", "|"))
)
def test_plans_in_yaml(folder, body, at, word):
    import yaml

    text = yaml.safe_dump(body, allow_unicode=True)
    at = min(at, len(text))
    answer(folder / "a.yaml", (text[:at] + word + text[at:]).encode())
