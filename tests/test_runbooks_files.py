"""Runbooks as files: the shipped ones, their way back to TOML, and plans of a Region switch in JSON and YAML."""

import importlib.util
import json
import sys

import pytest

from clear import clear_error
from surgetank import InvalidInput, MissingExtra
from surgetank.recovery import (
    DataStore,
    Empirical,
    Exponential,
    Fixed,
    Gamma,
    Lognormal,
    Mixture,
    Pert,
    Runbook,
    Step,
    Triangular,
    Uniform,
    Weibull,
)
from surgetank.recovery.arc import BLOCKS
from surgetank.recovery.reading import MOST_BYTES, parse_runbook, read_runbook, runbook_toml
from surgetank.recovery.shipped import shipped_names, shipped_runbook, shipped_text

needs_yaml = pytest.mark.skipif(importlib.util.find_spec("yaml") is None, reason="needs PyYAML")

SHIPPED = (
    "active-active",
    "backup-restore",
    "dynamodb-pitr",
    "failback",
    "pilot-light",
    "planned-failover",
    "rds-multi-az",
    "rds-snapshot-restore",
    "region-evacuation",
    "route53-failover",
    "warm-standby",
)


@pytest.fixture
def read(tmp_path):
    def call(text, name="plan.yaml", **chosen):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_runbook(path, **chosen)

    return call


def test_which_runbooks_are_shipped():
    assert shipped_names() == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_runbook_reads_and_comes_back(name):
    runbook = shipped_runbook(name)
    assert runbook.name == name
    assert runbook.title
    assert runbook.target_s is not None
    assert parse_runbook(runbook_toml(runbook)) == runbook
    text = shipped_text(name)
    assert "Published" in text
    assert "Assumed" in text


def test_load_lands_somewhere_in_every_failover_between_regions():
    between = set(SHIPPED) - {"rds-multi-az"}
    assert {name for name in SHIPPED if shipped_runbook(name).capacity} == between


def test_an_unknown_shipped_runbook():
    with clear_error(InvalidInput) as caught:
        shipped_runbook("pilotlight")
    said = "name: must be a shipped runbook; did you mean 'pilot-light'? (got 'pilotlight')"
    assert str(caught.value) == said
    with clear_error(InvalidInput, "name: must be a shipped runbook (got 5)"):
        shipped_runbook(5)


def test_a_runbook_comes_back_from_its_toml():
    durations = [
        Fixed(1 / 3),
        Uniform(0.1, 0.7),
        Triangular(1, 2, 3),
        Pert(1, 2, 3.5),
        Pert(1, 2, 3, 7.25),
        Lognormal(1, 2),
        Gamma(0.5, 3),
        Exponential(1e-3),
        Weibull(1.5, 1e7),
        Empirical([3, 1, 2.5]),
        Mixture([(0.25, Fixed(1)), (0.75, Mixture([(0.5, Uniform(0, 1)), (0.5, Fixed(2))]))]),
    ]
    odd = 'a "quoted" \\ name\nwith\tends \U0001f600 \x7f'
    steps = [Step(f"{odd} {nth}", duration, loadings={odd: 0.5}) for nth, duration in enumerate(durations)]
    runbook = Runbook(steps, name=odd, title=odd, stores=[DataStore(odd, 0.25)], target_s=0.1)
    assert parse_runbook(runbook_toml(runbook)) == runbook


def test_what_toml_cannot_hold():
    with clear_error(InvalidInput, "name: must be valid Unicode"):
        Step("\ud800")
    with clear_error(InvalidInput, "runbook: must have names that UTF-8 can hold"):
        runbook_toml(Runbook([Step("a")], title="\ud800"))
    with clear_error(InvalidInput, "runbook: must be a Runbook"):
        runbook_toml("runbook")


# Plans of a Region switch


def block(name, kind, settings=None, key="X"):
    return {"Name": name, "ExecutionBlockType": kind, "ExecutionBlockConfiguration": {key: settings or {}}}


def plan(*steps, **more):
    flow = {"WorkflowTargetAction": "activate", "WorkflowTargetRegion": "us-west-2", "Steps": list(steps)}
    return {"Name": "shop", "RecoveryApproach": "activePassive", "Workflows": [flow], **more}


def camel(value):
    if isinstance(value, dict):
        return {key[0].lower() + key[1:]: camel(part) for key, part in value.items()}
    return [camel(part) for part in value] if isinstance(value, list) else value


PARALLEL = block("both", "Parallel", {"Steps": [block("db", "AuroraGlobalDatabase"), block("asg", "EC2AutoScaling")]})
PARALLEL["ExecutionBlockConfiguration"] = {"ParallelConfig": PARALLEL["ExecutionBlockConfiguration"]["X"]}
APPROVAL = block("go", "ManualApproval", {"TimeoutMinutes": 4, "ApprovalRole": "r"}, "ExecutionApprovalConfig")
SHOP = plan(APPROVAL, PARALLEL, block("dns", "Route53HealthCheck"), RecoveryTimeObjectiveMinutes=30)


def check_shop(runbook):
    assert {s.name: s.after for s in runbook.steps} == {
        "go": (),
        "db": ("go",),
        "asg": ("go",),
        "dns": ("db", "asg"),
    }
    usual = Pert(60, 300, 900)  # what takes longer than the timeout of 4 min has failed
    assert runbook["go"].duration == usual.truncated(high_s=240)
    assert runbook["go"].failure == 1 - usual.cdf(240)
    assert runbook["dns"].duration == Uniform(60, 300)
    assert (runbook["asg"].capacity, runbook["db"].capacity) == (("*",), ())
    assert [s.name for s in runbook.stores] == ["db"]
    assert (runbook.name, runbook.target_s, runbook.strategy) == ("shop", 1800, "")
    assert runbook.title == "shop: activate us-west-2 (durations assumed)"


def test_a_plan_in_every_wrapping(read):
    template = {"Resources": {"Other": {"Type": "AWS::S3::Bucket"}, "P": {"Type": "AWS::ARCRegionSwitch::Plan"}}}
    template["Resources"]["P"]["Properties"] = SHOP
    for body in (SHOP, camel(SHOP), {"plan": camel(SHOP)}, {"Properties": SHOP}, template):
        check_shop(read(json.dumps(body), "plan.json"))
        check_shop(read(json.dumps(body), "plan"))
        check_shop(read(json.dumps(body), "plan.yaml"))


@needs_yaml
def test_a_template_in_yaml_with_short_tags(read):
    text = """\
Parameters:
  Minutes: { Type: Number, Default: 4 }
Resources:
  P:
    Type: AWS::ARCRegionSwitch::Plan
    Properties:
      Name: !Ref shop
      ExecutionRole: !GetAtt Role.Arn
      RecoveryApproach: activePassive
      RecoveryTimeObjectiveMinutes: "30"
      Workflows:
        - &flow
          WorkflowTargetAction: activate
          WorkflowTargetRegion: us-west-2
          Steps:
            - Name: !Sub go
              ExecutionBlockType: ManualApproval
              ExecutionBlockConfiguration: { ExecutionApprovalConfig: { TimeoutMinutes: !Ref Minutes } }
            - Name: both
              ExecutionBlockType: Parallel
              ExecutionBlockConfiguration:
                ParallelConfig:
                  Steps:
                    - { Name: db, ExecutionBlockConfiguration: { GlobalAuroraConfig: { TimeoutMinutes: 60 } } }
                    - { Name: asg, ExecutionBlockType: EC2AutoScaling, ExecutionBlockConfiguration: {} }
            - { Name: dns, ExecutionBlockType: Route53HealthCheck, ExecutionBlockConfiguration: {} }
"""
    check_shop(read(text))
    with clear_error(InvalidInput) as caught:
        read(text.replace("ManualApproval", "ManualAproval"))
    said = "ExecutionBlockType: must be a type of execution block; did you mean 'ManualApproval'? (got 'ManualAproval')"
    assert str(caught.value) == f"plan.yaml, line 17: {said}"


def test_which_workflow_is_taken(read):
    flows = [
        {"WorkflowTargetAction": action, "WorkflowTargetRegion": region, "Steps": [block(f"{action} {region}", kind)]}
        for action, kind in (("activate", "EC2AutoScaling"), ("deactivate", "Route53HealthCheck"))
        for region in ("us-east-1", "us-west-2")
    ]

    def taken(approach="activePassive", primary="us-east-1", **chosen):
        given = plan(Workflows=flows, RecoveryApproach=approach, PrimaryRegion=primary)
        return read(json.dumps(given), "plan.json", **chosen).names[0]

    assert taken() == "activate us-west-2"
    assert taken(region="us-east-1") == "activate us-east-1"
    assert taken(workflow="deactivate") == "deactivate us-west-2"
    assert taken(workflow="shop/deactivate", region="us-east-1") == "deactivate us-east-1"
    assert taken("activeActive", region="us-west-2") == "deactivate us-west-2"
    with clear_error(InvalidInput) as caught:
        taken("activeActive", None)
    said = "must be chosen, by workflow and region (got 'shop/deactivate us-east-1, shop/deactivate us-west-2')"
    assert str(caught.value) == f"plan.json, line 1: workflow: {said}"
    with clear_error(InvalidInput, "region: must be that of a workflow; did you mean 'us-west-2'? (got 'us-west-3')"):
        taken(region="us-west-3")
    with clear_error(InvalidInput, "workflow: must be one that is there; did you mean 'activate'? (got 'activat')"):
        taken(workflow="activat")
    with clear_error(InvalidInput, "region: must be a text (got 5)"):
        taken(region=5)


def test_every_type_of_block_is_read(read):
    runbook = read(json.dumps(plan(*(block(kind, kind) for kind in BLOCKS))), "plan.json")
    assert runbook.names == tuple(BLOCKS)
    assert {s.name for s in runbook.steps if s.capacity} == {
        "EC2AutoScaling",
        "ECSServiceScaling",
        "EKSResourceScaling",
        "ARCRegionSwitchPlan",
    }


def test_names_are_made_different(read):
    runbook = read(json.dumps(plan(block("a:b", "DocumentDb"), block("a b", "DocumentDb"))), "p.json")
    assert runbook.names == ("a b", "a b 2")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("[]", "line 1: plan: must be a table with workflows (got a list)"),
        ("{}", "line 1: Workflows: must be a list (got 'none')"),
        ('{"Resources": {}}', "line 1: Resources: must hold one of type AWS::ARCRegionSwitch::Plan (got 'none')"),
        ('{"Workflows": []}', "line 1: Workflows: must hold at least one workflow (got 'none')"),
        ('{"Workflows": [{}]}', "line 1: Steps: must be a list (got 'none')"),
        ('{"Workflows": [{"Steps": []}]}', "line 1: Steps: must hold at least one step (got 'none')"),
        ('{"Workflows": [{\n"Steps": [\n5]}]}', "line 3: Steps: must be a table (got 5)"),
        ("{", "line 1: must be valid JSON: Expecting property name enclosed in double quotes"),
        ("[" * 100_000, "must be valid JSON: nested too deeply"),
        ('{"a": ' * 70 + "1" + "}" * 70, "must be nested at most 64 deep (got more)"),
        ('{"a": ' + "9" * 5000 + "}", "must be valid JSON: Exceeds the limit"),
    ],
)
def test_wrong_json(read, body, said):
    with clear_error(InvalidInput) as caught:
        read(body, "p.json")
    found = str(caught.value).removeprefix("p.json").removeprefix(", ").removeprefix(": ")
    assert found.startswith(said)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"TimeoutMinutes": 0}, "TimeoutMinutes: must be a number of minutes in (0, 1e6] (got 0)"),
        ({"TimeoutMinutes": 10**400}, "TimeoutMinutes: must be a number of minutes in (0, 1e6] (got 1000"),
        ({"TimeoutMinutes": float("nan")}, "TimeoutMinutes: must be a number of minutes in (0, 1e6] (got nan)"),
        ({"TimeoutMinutes": "soon"}, "TimeoutMinutes: must be a number of minutes in (0, 1e6] (got 'soon')"),
        ({"TimeoutMinutes": [1]}, "TimeoutMinutes: must be a number of minutes in (0, 1e6] (got a list)"),
    ],
)
def test_wrong_timeouts(read, changed, said):
    body = json.dumps(plan(block("go", "ManualApproval", changed, "ExecutionApprovalConfig")))
    with clear_error(InvalidInput, f"p.json, line 1: {said}"):
        read(body, "p.json")


@needs_yaml
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "p.yaml, line 2: must be valid YAML: "),
        ("a: *b", "p.yaml, line 1: aliases must have an anchor before them (got 'b')"),
        ("? [a]\n: 1", "p.yaml, line 1: keys must be texts (got a list)"),
        ("[" * 200_000, "p.yaml, line 1: must be nested at most 64 deep (got more)"),
        ("Workflows: " + "[" * 200, "p.yaml, line 1: must be nested at most 64 deep (got more)"),
        ("", "p.yaml: plan: must be a table with workflows (got None)"),
        ("!!python/object/apply:os.system ['true']", "p.yaml, line 1: plan: must be a table with workflows"),
        ("a: &a [*a]\nWorkflows: *a", "p.yaml, line 2: Workflows: must be a table (got a list)"),
    ],
)
def test_wrong_yaml(read, text, said):
    with clear_error(InvalidInput) as caught:
        read(text, "p.yaml")
    assert str(caught.value).startswith(said)


@needs_yaml
def test_aliases_do_not_explode(read):
    """A short file that means nine to the power of nine steps, workflows or words."""
    laughs = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    with clear_error(InvalidInput, "Name: must be a text (got a list)"):
        read(laughs + "Workflows: [{Steps: [{Name: *a29, ExecutionBlockType: DocumentDb}]}]")
    inner = "s0: &s0 []\n"
    for n in range(1, 9):
        many = ", ".join([f"{{ExecutionBlockType: Parallel, Steps: *s{n - 1}}}"] * 50)
        inner += f"s{n}: &s{n} [{many}]\n"
    with clear_error(InvalidInput, "steps must be at most 1000"):
        read(inner + "Workflows: [{Steps: *s8}]")
    flows = f"f: &f [{', '.join(['{Steps: []}'] * 200)}]\nWorkflows: *f"
    with clear_error(InvalidInput, "Workflows: must be at most 100 (got 'more')"):
        read(flows)


def test_yaml_without_its_library(read, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    with clear_error(MissingExtra) as caught:
        read("Workflows: []")
    assert str(caught.value) == "plan.yaml is YAML; reading it needs: pip install 'surgetank[yaml]'"


def test_files_that_cannot_be_read(read, tmp_path):
    with clear_error(InvalidInput, "nothing.toml: must be a readable file: No such file or directory"):
        read_runbook(tmp_path / "nothing.toml")
    with clear_error(InvalidInput, "must be a readable file: Is a directory"):
        read_runbook(str(tmp_path))
    with clear_error(InvalidInput, "must be a readable file: not UTF-8 text"):
        read(b"\xff\xfe", "a.toml")
    for name in ("a.toml", "a.json", "a.yaml"):
        with clear_error(InvalidInput, f"{name}: must be a file of at most {MOST_BYTES} bytes (got 'more')"):
            read(b" " * (MOST_BYTES + 1), name)
    with clear_error(InvalidInput, "path: must be a path (got 5)"):
        read_runbook(5)
    with clear_error(InvalidInput, "region: is for Region switch plans, and a.toml is none (got 'us-east-1')"):
        read(shipped_text("failback"), "a.toml", region="us-east-1")


def test_a_file_without_an_ending_is_told_by_what_it_holds(read):
    assert read("\ufeff" + shipped_text("failback").replace("\n", "\r\n"), "failback").name == "failback"
    check_shop(read(json.dumps(SHOP), "template"))
