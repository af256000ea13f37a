"""Region switch plans of the AWS Application Recovery Controller as runbooks.

Read are CloudFormation's ``AWS::ARCRegionSwitch::Plan`` (a template, the resource or its properties) and the answer of
the API's ``GetPlan``, which spell the same words differently.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from ..errors import InvalidInput, invalid, nearest
from .distributions import Distribution, Fixed, Lognormal, Pert, Uniform
from .documents import Document, Where
from .runbook import MOST_STEPS, DataStore, Misplaced, Runbook, Step
from .steps import LONGEST_NAME, plain_text

# Aliases of YAML can make a short file mean a long one.
MOST_NESTING = 8
MOST_BLOCKS = 4 * MOST_STEPS
MOST_WORKFLOWS = 100
MOST_CHARACTERS = 1000
TYPE = "AWS::ARCRegionSwitch::Plan"


@dataclass(frozen=True)
class Block:
    """What is assumed of an execution block: how long it takes, and whether it needs room in quotas."""

    duration: Pert | Uniform
    capacity: tuple[str, ...] = ()
    stores: bool = False  #: a database whose replication lag may be lost


def _minutes(low: float, likely: float, high: float) -> Pert:
    return Pert(60 * low, 60 * likely, 60 * high)


#: Of a block that ends in time less often than that, it is taken never to.
LEAST_IN_TIME = 1e-6
_DNS = Uniform(60.0, 300.0)  # as `models.dns` has it

#: Per type of execution block. Durations are assumptions, from minutes that are usual for each action; where the plan
#: has a timeout, what takes longer has failed. Blocks that scale compute, and plans within plans, need room in quotas.
BLOCKS: Mapping[str, Block] = MappingProxyType(
    {
        "ManualApproval": Block(_minutes(1, 5, 15)),
        "CustomActionLambda": Block(_minutes(0.05, 0.5, 5)),
        "EC2AutoScaling": Block(_minutes(2, 5, 15), ("*",)),
        "ECSServiceScaling": Block(_minutes(1, 3, 10), ("*",)),
        "EKSResourceScaling": Block(_minutes(1, 4, 15), ("*",)),
        "AuroraGlobalDatabase": Block(_minutes(1, 2, 10), stores=True),
        "DocumentDb": Block(_minutes(1, 2, 10), stores=True),
        "NeptuneGlobalDatabase": Block(_minutes(1, 2, 10), stores=True),
        "RdsPromoteReadReplica": Block(_minutes(3, 8, 30), stores=True),
        "RdsSwitchoverReadReplica": Block(_minutes(2, 5, 20)),
        "RdsCreateCrossRegionReplica": Block(_minutes(20, 60, 360)),
        "LambdaEventSourceMapping": Block(_minutes(0.1, 0.5, 5)),
        "ARCRoutingControl": Block(_DNS),
        "Route53HealthCheck": Block(_DNS),
        "ARCRegionSwitchPlan": Block(_minutes(5, 15, 60), ("*",)),
    }
)
#: The key of a block's settings tells its type where the type is not given.
_CONFIGURATIONS = {
    "CustomActionLambdaConfig": "CustomActionLambda",
    "Ec2AsgCapacityIncreaseConfig": "EC2AutoScaling",
    "ExecutionApprovalConfig": "ManualApproval",
    "ArcRoutingControlConfig": "ARCRoutingControl",
    "GlobalAuroraConfig": "AuroraGlobalDatabase",
    "ParallelConfig": "Parallel",
    "RegionSwitchPlanConfig": "ARCRegionSwitchPlan",
    "EcsCapacityIncreaseConfig": "ECSServiceScaling",
    "EksResourceScalingConfig": "EKSResourceScaling",
    "Route53HealthCheckConfig": "Route53HealthCheck",
    "DocumentDbConfig": "DocumentDb",
    "NeptuneGlobalDatabaseConfig": "NeptuneGlobalDatabase",
    "RdsPromoteReadReplicaConfig": "RdsPromoteReadReplica",
    "RdsSwitchoverReadReplicaConfig": "RdsSwitchoverReadReplica",
    "RdsCreateCrossRegionReadReplicaConfig": "RdsCreateCrossRegionReplica",
    "LambdaEventSourceMappingConfig": "LambdaEventSourceMapping",
}
_TYPES = {name.lower(): name for name in (*BLOCKS, "Parallel")}
_TYPES |= {"routingcontrol": "ARCRoutingControl", "regionswitchplan": "ARCRegionSwitchPlan"}
#: Aurora Global Database: "typically under a second" (Amazon Aurora User Guide). Assumed: median 1 s, p95 5 s.
_LAG = Lognormal(1.0, 5.0)


@dataclass(frozen=True)
class _Table:
    """A table of the document, whose keys are found in any spelling: camelCase, PascalCase, snake_case."""

    document: Document
    value: dict[str, Any]
    where: Where
    parameters: Mapping[str, Any]

    def key(self, name: str) -> str:
        """How the document spells a key."""
        return next((key for key in _spellings(name) if key in self.value), name)

    def get(self, name: str) -> Any:
        return _resolved(self.value.get(self.key(name)), self.parameters)

    def error(self, name: str, rule: str, got: object) -> InvalidInput:
        return self.document.error(f"{self.key(name)}: {rule}", got, *self.where, self.key(name))

    def text(self, name: str, default: str = "") -> str:
        value = self.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.error(name, "must be a text", value)
        if len(value) > MOST_CHARACTERS:
            raise self.error(name, f"must be at most {MOST_CHARACTERS} characters", value)
        try:
            return plain_text(value, name) if value else value
        except InvalidInput:  # half a character, which JSON can spell
            raise self.error(name, "must be valid Unicode", value) from None

    def minutes(self, name: str) -> float | None:
        """Minutes as seconds; CloudFormation takes numbers as texts, too."""
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value.strip()):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1e6:
            raise self.error(name, "must be a number of minutes in (0, 1e6]", value)
        return 60.0 * float(value)

    def table(self, name: str) -> _Table | None:
        value = self.get(name)
        return None if value is None else self.inside(name, value, self.key(name))

    def tables(self, name: str) -> Iterator[_Table]:
        value = self.get(name)
        if not isinstance(value, list):
            raise self.error(name, "must be a list", value if value is not None else "none")
        for nth, item in enumerate(value):
            yield self.inside(name, item, self.key(name), nth)

    def inside(self, name: str, value: Any, *where: str | int) -> _Table:
        if not isinstance(value, dict):
            raise self.document.error(f"{self.key(name)}: must be a table", value, *self.where, *where)
        return _Table(self.document, value, (*self.where, *where), self.parameters)


@lru_cache
def _spellings(name: str) -> tuple[str, ...]:
    return name, name[0].lower() + name[1:], re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def _folded(word: str) -> str:
    return re.sub(r"[^a-z0-9/]", "", word.lower())


def _resolved(value: Any, parameters: Mapping[str, Any]) -> Any:
    """A parameter's default for a reference to it, the text of a substitution, the words of another function."""
    if not isinstance(value, dict) or len(value) != 1:
        return value
    ((function, given),) = value.items()
    if function == "Ref" and isinstance(given, str):
        declared = parameters.get(given)
        default = declared.get("Default") if isinstance(declared, dict) else None
        return given if default is None else default
    if isinstance(function, str) and function.startswith("Fn::"):
        words = given if isinstance(given, list) else [given]
        return next((word for word in words if isinstance(word, str)), function)
    return value


def region_switch(document: Document, *, workflow: str | None = None, region: str | None = None) -> Runbook:
    """Make the runbook of one workflow of a Region switch plan.

    Parameters
    ----------
    document : Document
        A plan's properties, its resource, a template with one or several plans, or the answer of ``GetPlan``.
    workflow : str, optional
        "activate", "deactivate" or "postRecovery", or a plan's name, or both as "name/activate". Default: what fails
        over, which is "activate", and for active/active plans "deactivate" where there is one.
    region : str, optional
        The Region that the workflow is for. Default: not the plan's primary Region.

    Returns
    -------
    Runbook
        Steps in sequence, those of a Parallel block side by side; ``target_s`` from recoveryTimeObjectiveMinutes. It
        begins when the plan does: add steps for detection and declaration to count from the failure.

    Raises
    ------
    InvalidInput
        With the file, the line, the key, the rule and the value; also where several workflows remain.

    Notes
    -----
    Source of the format: AWS CloudFormation Template Reference, ``AWS::ARCRegionSwitch::Plan``, and ARC Region switch
    API Reference, 2022-07-26. Durations are those of `BLOCKS`, assumptions all.
    """
    plan, flow = _chosen(_workflows(document), document, workflow, region)
    reader = _Reader()
    ends = reader.sequence(flow.tables("Steps"), (), 0)
    if not ends:
        raise flow.error("Steps", "must hold at least one step", "none")
    name = plan.text("Name") or "plan"
    action, target = flow.text("WorkflowTargetAction", "activate"), flow.text("WorkflowTargetRegion")
    title = f"{plan.text('Description') or name}: {' '.join(filter(None, (action, target)))} (durations assumed)"
    objective = plan.minutes("RecoveryTimeObjectiveMinutes")
    try:
        return Runbook(
            reader.steps,
            name=name[:LONGEST_NAME],  # so that it can be written as TOML and read back
            title=title[:MOST_CHARACTERS],
            stores=reader.stores,
            target_s=objective,
            strategy="active-active" if _active_active(plan) else "",
        )
    except InvalidInput as error:
        where = reader.places.get(error.name, flow.where) if isinstance(error, Misplaced) else flow.where
        raise document.at(str(error), *where) from None


def _active_active(plan: _Table) -> bool:
    return _folded(plan.text("RecoveryApproach")) == "activeactive"


def _plans(document: Document) -> Iterator[_Table]:
    body = document.body
    if not isinstance(body, dict):
        raise document.error("plan: must be a table with workflows", body)
    top = _Table(document, body, (), {})
    if isinstance(body.get("Resources"), dict):
        given = body.get("Parameters")
        parameters = given if isinstance(given, dict) else {}
        resources = _Table(document, body["Resources"], ("Resources",), parameters)
        for name, resource in resources.value.items():
            if isinstance(resource, dict) and resource.get("Type") == TYPE:
                properties = resources.inside(name, resource, name).table("Properties")
                if properties is None:
                    rule = "Properties: must be given"
                    raise document.error(rule, ", ".join(map(str, resource)), "Resources", name)
                yield properties
        return
    for name in ("plan", "Properties"):
        if (inner := top.table(name)) is not None:
            yield inner
            return
    yield top


def _workflows(document: Document) -> list[tuple[_Table, _Table]]:
    """Every workflow with its plan."""
    plans = list(_plans(document))
    if not plans:
        raise document.error(f"Resources: must hold one of type {TYPE}", "none", "Resources")
    found: list[tuple[_Table, _Table]] = []
    for plan in plans:
        for flow in plan.tables("Workflows"):
            if len(found) == MOST_WORKFLOWS:
                raise plan.error("Workflows", f"must be at most {MOST_WORKFLOWS}", "more")
            found.append((plan, flow))
    if not found:
        raise plans[0].error("Workflows", "must hold at least one workflow", "none")
    return found


def _chosen(
    found: Sequence[tuple[_Table, _Table]], document: Document, workflow: str | None, region: str | None
) -> tuple[_Table, _Table]:
    for argument, given in (("workflow", workflow), ("region", region)):
        if given is not None and not isinstance(given, str):
            raise invalid(argument, "must be a text", given)
    left = list(found)
    if workflow is not None:
        left = [pair for pair in found if _folded(workflow) in map(_folded, _called(*pair))]
        if not left:
            names = [name for pair in found for name in _called(*pair)]
            raise document.error(f"workflow: must be one that is there{nearest(workflow[:60], names)}", workflow)
    left = _that_fail_over(left)
    if region is not None:
        regions = [flow.text("WorkflowTargetRegion") for _, flow in left]
        left = [pair for pair, name in zip(left, regions, strict=True) if name == region]
        if not left:
            raise document.error(f"region: must be that of a workflow{nearest(region[:60], regions)}", region)
    elif len(left) > 1:
        away = [(p, f) for p, f in left if f.text("WorkflowTargetRegion") != p.text("PrimaryRegion")]
        left = away or left
    if len(left) > 1:
        places = [f"{_called(*pair)[2]} {pair[1].text('WorkflowTargetRegion')}".strip() for pair in left]
        raise document.error("workflow: must be chosen, by workflow and region", ", ".join(places))
    return left[0]


def _called(plan: _Table, flow: _Table) -> tuple[str, str, str]:
    action, name = flow.text("WorkflowTargetAction", "activate"), plan.text("Name")
    return action, name[:LONGEST_NAME], f"{name[:LONGEST_NAME]}/{action}"


def _that_fail_over(left: list[tuple[_Table, _Table]]) -> list[tuple[_Table, _Table]]:
    """Those that bring service back, unless there are none among them."""
    actions = [_folded(flow.text("WorkflowTargetAction", "activate")) for _, flow in left]
    wanted = []
    for (plan, flow), action in zip(left, actions, strict=True):
        leaving = _active_active(plan) and "deactivate" in actions
        if action == ("deactivate" if leaving else "activate"):
            wanted.append((plan, flow))
    return wanted or left


@dataclass
class _Reader:
    """Steps of a workflow as they are found."""

    steps: list[Step] = field(default_factory=list)
    stores: list[DataStore] = field(default_factory=list)
    places: dict[str, Where] = field(default_factory=dict)
    blocks: int = 0

    def sequence(self, tables: Iterable[_Table], after: tuple[str, ...], depth: int) -> tuple[str, ...]:
        """One after the other; gives what the next one waits for."""
        for table in tables:
            after = self.block(table, after, depth)
        return after

    def block(self, table: _Table, after: tuple[str, ...], depth: int) -> tuple[str, ...]:
        self.blocks += 1
        if len(self.steps) >= MOST_STEPS or self.blocks > MOST_BLOCKS:
            raise table.error("Name", f"steps must be at most {MOST_STEPS}", "more")
        kind, settings = _kind(table)
        if kind != "Parallel":
            return (self.step(table, kind, settings, after),)
        inner = settings if settings is not None else table
        if depth >= MOST_NESTING:
            raise inner.error("Steps", f"must be nested at most {MOST_NESTING} deep", "more")
        ends = [end for child in inner.tables("Steps") for end in self.block(child, after, depth + 1)]
        return tuple(ends) or after

    def step(self, table: _Table, kind: str, settings: _Table | None, after: tuple[str, ...]) -> str:
        given = table.text("Name").replace(":", " ").strip()
        if not given:
            raise table.error("Name", "must be given for every step", "none")
        if len(given) > LONGEST_NAME:
            raise table.error("Name", f"must be at most {LONGEST_NAME} characters", given)
        name, nth = given, 1
        while name in self.places:
            nth += 1
            name = f"{given} {nth}"
        self.places[name] = table.where
        block = BLOCKS[kind]
        timeout = settings.minutes("TimeoutMinutes") if settings is not None else None
        duration, failure = _within(block.duration, timeout)
        self.steps.append(Step(name, duration, after=after, failure=failure, capacity=block.capacity))
        if block.stores:
            self.stores.append(DataStore(name, _LAG))
        return name


def _kind(table: _Table) -> tuple[str, _Table | None]:
    """The type of a block, and its settings."""
    outer = table.table("ExecutionBlockConfiguration")
    keys = [key for key in _CONFIGURATIONS if outer is not None and outer.get(key) is not None]
    settings = outer.table(keys[0]) if outer is not None and keys else None
    given = table.text("ExecutionBlockType")
    if not given and keys:
        return _CONFIGURATIONS[keys[0]], settings
    kind = _TYPES.get(_folded(given))
    if kind is None:
        hint = nearest(given[:60], (*BLOCKS, "Parallel"))
        raise table.error("ExecutionBlockType", f"must be a type of execution block{hint}", given or "none")
    return kind, settings


def _within(usual: Pert | Uniform, timeout_s: float | None) -> tuple[Distribution, float]:
    """What the block takes where it ends before its timeout, and the probability that it does not: the plan stops."""
    if timeout_s is None or timeout_s >= float(usual.high_s):  # type: ignore[arg-type]
        return usual, 0.0
    in_time = float(usual.cdf(timeout_s))
    if in_time < LEAST_IN_TIME:
        return Fixed(timeout_s), 1.0
    return usual.truncated(high_s=timeout_s), 1 - in_time
