"""The TOML file: scenarios, policy, thresholds, costs. A mistake is named with its line and the nearest valid word."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ._bridge import duration_s, fraction, number
from ._template import TEMPLATE as TEMPLATE
from ._toml import Source
from .adequacy import AdequacyTest
from .adequacy.reading import section_of
from .allocation import Proportional, Survive
from .backtest.planned import RulePolicy
from .collect.planned import CollectPlan
from .collect.reading import KEYS as COLLECT_KEYS
from .collect.reading import section_of as collect_of
from .errors import InvalidInput, invalid, nearest
from .headroom import POLICIES, ClassicPolicy, Policy, QuantilePolicy
from .headroom.events import events_of
from .history import QuotaKey
from .history.history import whole_step
from .history.places import Place, place_of
from .history.upkeep import KEEP_S
from .plan import Thresholds, matching
from .recovery.units import seconds_of
from .scenario import SHIPPED_SCENARIOS, Scenario, each_region_fails, fail_together
from .spikes import DETECTOR_OPTIONS, AdaptiveDetector, Detector, RollingSigma, detector_of

_SCENARIO_KEYS = tuple(f.name for f in fields(Scenario))
_THRESHOLD_KEYS = ("warning_frac", "critical_frac")
_KEYS: dict[str, tuple[str, ...]] = {
    "": (
        "store",
        "scenarios",
        "scenario",
        "history",
        "policy",
        "thresholds",
        "costs",
        "check",
        "spikes",
        "allocation",
        "test",
        "collect",
    ),
    "collect": COLLECT_KEYS,
    "scenario": _SCENARIO_KEYS,
    "history": ("step_s", "stale_after_s", "keep"),
    "check": ("require", "min_coverage"),
    "allocation": ("survive", "together", "eligible", "share_cap", "critical", "at", "sharing"),
    "spikes": ("detector", *dict.fromkeys(option for options in DETECTOR_OPTIONS.values() for option in options)),
}
_SPIKE_KEYS = {f"spike_{f.name}": f.name for f in fields(RollingSigma)}
_POLICY_KEYS = {  # a detector is spelled by its own keys
    name: tuple(key for f in fields(kind) for key in (_SPIKE_KEYS if f.name == "detector" else (f.name,)))
    for name, kind in POLICIES.items()
}
_KINDS: dict[str, Callable[[], Policy]] = {**POLICIES, RulePolicy.name: RulePolicy}


@dataclass(frozen=True, kw_only=True)
class Config:
    """What the TOML file says, checked; the defaults without a file."""

    store: Place = Path("surgetank.db")
    scenarios: tuple[str | Scenario, ...] | None = None  #: None: the store's own
    step_s: float | None = None
    stale_after_s: float | None = None
    keep_s: float | None = KEEP_S  #: of the usage, what `surgetank store compact` keeps; None: all
    policy_name: str = QuantilePolicy.name
    policies: Mapping[str, Policy] = field(default_factory=lambda: {name: kind() for name, kind in _KINDS.items()})
    thresholds: Mapping[str, Thresholds] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    detector: Detector = field(default_factory=AdaptiveDetector)  #: what `spikes` and `show` look with
    survive: Survive | None = field(default_factory=Survive)
    sharing: Proportional = field(default_factory=Proportional)  #: how `allocate --fail` shares a load out
    require: tuple[str, ...] | None = None
    min_coverage: float = 0.0
    test: AdequacyTest | None = None  #: what `surgetank test` tests
    collect: CollectPlan = field(default_factory=CollectPlan)  #: what `surgetank collect` asks AWS for
    source: Source | None = None

    @staticmethod
    def read(path: Path) -> Config:
        """Read and check a file; `InvalidInput` names the file, the line and what is wrong."""
        return Config.of(Source.read(path), path.parent)

    @staticmethod
    def of(source: Source, folder: Path) -> Config:
        """Check what a file says; other files it names are sought from that folder."""
        top = _table(source, source.body)
        history = _table(source, top.get("history", {}), "history")
        check = _table(source, top.get("check", {}), "check")
        base, thresholds = _thresholds(source, top.get("thresholds", {}))
        costs = _mapping(source, top.get("costs", {}), "costs")
        store = top.get("store", "surgetank.db")
        if not isinstance(store, str) or not store:
            raise source.error("store: must be a text", store, "store")
        try:
            place = place_of(store, folder)
        except InvalidInput as error:
            raise source.error(f"store: {error.rule}", store, "store") from None
        survive, sharing = _allocation(source, _table(source, top.get("allocation", {}), "allocation"))
        policy_name, policies = _policies(source, _mapping(source, top.get("policy", {}), "policy"))
        return Config(
            store=place,
            scenarios=_scenarios(source, top),
            step_s=_read(source, history, ("history", "step_s"), whole_step),
            stale_after_s=_read(source, history, ("history", "stale_after_s"), _positive),
            keep_s=_read(source, history, ("history", "keep"), keep_of) if "keep" in history else KEEP_S,
            policy_name=policy_name,
            policies=policies,
            thresholds={"*": base, **thresholds},
            costs={name: _read(source, costs, ("costs", name), _price) for name in costs},
            detector=_detector(source, _table(source, top.get("spikes", {}), "spikes")),
            survive=survive,
            sharing=sharing,
            require=tuple(_texts(source, check["require"], "check", "require")) if "require" in check else None,
            min_coverage=_read(source, check, ("check", "min_coverage"), fraction) or 0.0,
            test=section_of(source) if "test" in top else None,
            collect=collect_of(source, _table(source, top.get("collect", {}), "collect"), seconds_of),
            source=source,
        )

    @property
    def policy(self) -> Policy:
        """The policy to plan with."""
        return self.policies[self.policy_name]

    def check(self, keys: Sequence[QuotaKey]) -> None:
        """Find what only the quotas of a plan can show: a Region or a pattern that names none of them."""
        if self.source is None:
            return
        regions = tuple(dict.fromkeys(key.region for key in keys))
        for together in (fail_together(word) for word in self.scenarios or ()):
            if together is None:
                continue
            try:
                each_region_fails(regions, together)
            except InvalidInput as error:
                raise self.source.at(str(error), "scenarios") from None
        own = [s for s in self.scenarios or () if isinstance(s, Scenario)]
        for nth, scenario in enumerate(own):
            for place, names in (("source", scenario.sources), ("targets", scenario.targets)):
                for region in (r for r in names if r not in regions):
                    what = f"scenarios: scenario {scenario.name!r} names a Region that is not in the plan"
                    raise self.source.error(what + nearest(region, regions), region, "scenario", nth, place, region)
        if self.survive is not None and len(regions) > 1:
            try:
                self.survive.check(regions)
            except InvalidInput as error:
                raise self.source.at(*_as_in_the_file(error)) from None
        for pattern in (p for p in self.thresholds if p != "*"):
            self._names_one(keys, pattern, "thresholds", pattern)
        for pattern in self.costs:
            self._names_one(keys, pattern, "costs", pattern)
        for pattern in self.require or ():
            self._names_one(keys, pattern, "check", "require")

    def _names_one(self, keys: Sequence[QuotaKey], pattern: str, *where: str) -> None:
        try:
            matching(keys, pattern, where[0])
        except InvalidInput as error:
            raise (self.source.at(str(error), *where) if self.source else error) from None


def _mapping(source: Source, value: Any, *where: str | int) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise source.error(f"{where[0]}: must be a table, [{where[0]}]", value, *where)
    return value


def _table(source: Source, value: Any, name: str = "") -> dict[str, Any]:
    """A table whose keys are all known."""
    table = _mapping(source, value, name) if name else value
    _known(source, table, _KEYS[name], f"in [{name}]" if name else "at the top", *([name] if name else []))
    return table


def _known(source: Source, table: dict[str, Any], keys: Sequence[str], place: str, *where: str | int) -> None:
    for key in table:
        if key not in keys:
            raise source.error(f"{key[:60]}: is no key {place}{nearest(key[:60], keys)}", key, *where, key)


def _texts(source: Source, given: Any, *where: str | int) -> list[str]:
    if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
        raise source.error(f"{where[-1]}: must be a list of texts", given, *where)
    return given


def _read(source: Source, table: dict[str, Any], where: tuple[str, str], kind: Callable[[Any, str], Any]) -> Any:
    """The value of a key as ``kind`` takes it; None where there is none."""
    if where[1] not in table:
        return None
    try:
        return kind(table[where[1]], where[1])
    except InvalidInput as error:
        raise source.at(str(error), *where) from None


def keep_of(value: object, argument: str) -> float | None:
    """How much usage to keep, in seconds, of a text such as "90d"; None for "all"."""
    if value == "all":
        return None
    try:
        seconds = seconds_of(value, argument)
    except InvalidInput:
        seconds = 0.0
    if not seconds > 0:
        raise invalid(argument, 'must be a duration above 0 with a unit, such as "90d", or "all"', value)
    return seconds


def _positive(value: Any, key: str) -> float:
    return duration_s(value, key, above=True)


def _price(value: Any, pattern: str) -> float:
    return number(value, "costs", rule=f"price of {pattern} must be a number, 0 or more", least=0)


def _scenarios(source: Source, top: dict[str, Any]) -> tuple[str | Scenario, ...] | None:
    if "scenarios" not in top and "scenario" not in top:
        return None
    words = _texts(source, top.get("scenarios", []), "scenarios")
    known = ("N-1", "shipped", *(s.name for s in SHIPPED_SCENARIOS))
    for word in words:
        if word not in known and fail_together(word) is None:
            rule = f"scenarios: must be among {', '.join(known)}{nearest(word, known)}"
            raise source.error(rule, word, "scenarios")
    tables = top.get("scenario", [])
    if not isinstance(tables, list):
        raise source.error("scenario: must be a list of tables, [[scenario]]", tables, "scenario")
    own = [_scenario(source, table, nth) for nth, table in enumerate(tables)]
    for nth in range(len(own)):
        _check_together(source, own, nth)
    return (*words, *own)


def _check_together(source: Source, own: Sequence[Scenario], nth: int) -> None:
    """Find the scenario with which a name is taken twice, or an event becomes impossible."""
    if own[nth].name in [s.name for s in own[:nth]]:
        rule = "name: must differ from those of other scenarios"
        raise source.error(rule, own[nth].name, "scenario", nth, "name")
    try:
        events_of([s for s in own[: nth + 1] if s.event == own[nth].event])
    except InvalidInput as error:
        raise source.at(str(error), "scenario", nth) from None


def _scenario(source: Source, table: Any, nth: int) -> Scenario:
    _mapping(source, table, "scenario", nth)
    _known(source, table, _SCENARIO_KEYS, "of a scenario", "scenario", nth)
    for key in ("name", "source", "targets"):
        if key not in table:
            raise source.error(f"{key}: must be given for every scenario", ", ".join(table), "scenario", nth)
    try:
        return Scenario(**table)
    except InvalidInput as error:
        raise source.at(str(error), "scenario", nth, error.argument) from None


def _allocation(source: Source, table: dict[str, Any]) -> tuple[Survive | None, Proportional]:
    """What to survive, None for nothing; and how to share a load out in the event."""
    options = {"failures" if key == "survive" else key: value for key, value in table.items() if key != "sharing"}
    try:
        sharing = Proportional.named(table["sharing"]) if "sharing" in table else Proportional()
    except InvalidInput as error:
        raise source.at(error.about("sharing"), "allocation", "sharing") from None
    try:
        return None if options.get("failures") == [] else Survive(**options), sharing
    except InvalidInput as error:
        raise source.at(*_as_in_the_file(error)) from None


def _as_in_the_file(error: InvalidInput) -> tuple[str, str, str]:
    """The message and the place of a mistake in [allocation], where `failures` is called `survive`."""
    key = "survive" if error.argument == "failures" else error.argument
    return error.about(key), "allocation", key


def _policies(source: Source, table: dict[str, Any]) -> tuple[str, dict[str, Policy]]:
    """The name of the policy to plan with, and every policy as the file has it.

    Keys of [policy] itself belong to the policy named there; without a name, to the one that knows most of them.
    """
    plain = {key: value for key, value in table.items() if key != "name" and key not in _KINDS}
    telling = plain.keys() - _SPIKE_KEYS.keys()  # those tell `surgetank spikes` how to look, whatever the policy
    name = table.get("name", max(POLICIES, key=lambda one: len(telling & set(_POLICY_KEYS[one]))))
    if not isinstance(name, str) or name not in _KINDS:
        rule = f"name: must be a policy, {', '.join(_KINDS)}{nearest(str(name), _KINDS)}"
        raise source.error(rule, name, "policy", "name")
    found: dict[str, Policy] = {RulePolicy.name: _rule_policy(source, table.get(RulePolicy.name, {}))}
    if name == RulePolicy.name and (stray := next(iter(plain.keys() - _SPIKE_KEYS.keys()), None)) is not None:
        raise source.error(f"{stray[:60]}: belongs in [policy.rule]", stray, "policy", stray)
    for one in POLICIES:
        own = table.get(one, {})
        if not isinstance(own, dict):
            raise source.error(f"{one}: must be a table, [policy.{one}]", own, "policy", one)
        placed: dict[str, tuple[Any, tuple[str, ...]]] = {k: (v, ("policy", one, k)) for k, v in own.items()}
        mine = plain if one == name else {}
        if name != ClassicPolicy.name:  # the detector's keys belong to the classic policy wherever they stand
            spikes = {key: value for key, value in plain.items() if key in _SPIKE_KEYS}
            mine = spikes if one == ClassicPolicy.name else {k: v for k, v in mine.items() if k not in spikes}
        for key, value in mine.items():
            if key in placed:
                raise source.error(f"{key}: is in [policy] and in [policy.{one}]", value, "policy", key)
            placed[key] = (value, ("policy", key))
        found[one] = _policy(source, one, placed)
    return name, found


def _policy(source: Source, name: str, placed: dict[str, tuple[Any, tuple[str, ...]]]) -> Policy:
    keys = _POLICY_KEYS[name]
    for key, (_, where) in placed.items():
        if key not in keys:
            others = [other for other, own in _POLICY_KEYS.items() if key in own]
            hint = f'; it belongs to name = "{others[0]}"' if others else nearest(key[:60], keys)
            place = f"[{'.'.join(where[:-1])}] of the {name} policy" if others else f"[{'.'.join(where[:-1])}]"
            raise source.error(f"{key[:60]}: is no key in {place}{hint}", key, *where)
    options = {key: value for key, (value, _) in placed.items()}
    try:
        if spikes := {_SPIKE_KEYS[key]: options.pop(key) for key in list(options) if key in _SPIKE_KEYS}:
            options["detector"] = RollingSigma(**spikes)
        return POLICIES[name](**options)
    except InvalidInput as error:
        key = next((key for key, option in _SPIKE_KEYS.items() if option == error.argument), error.argument)
        raise source.at(error.about(key), *placed[key][1] if key in placed else ("policy",)) from None


def _rule_policy(source: Source, table: Any) -> Policy:
    if not isinstance(table, dict):
        raise source.error("rule: must be a table, [policy.rule]", table, "policy", "rule")
    try:
        return RulePolicy.of_table(table)
    except InvalidInput as error:
        raise source.at(str(error), "policy", "rule", error.argument) from None


def _detector(source: Source, table: dict[str, Any]) -> Detector:
    try:
        return detector_of({key: value for key, value in table.items() if key != "detector"}, table.get("detector"))
    except InvalidInput as error:
        raise source.at(str(error), "spikes", error.argument) from None


def _thresholds(source: Source, table: Any) -> tuple[Thresholds, dict[str, Thresholds]]:
    table = _mapping(source, table, "thresholds")
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    base = _threshold(source, plain, Thresholds(), "thresholds")
    patterns = {
        name: _threshold(source, value, base, "thresholds", name)
        for name, value in table.items()
        if isinstance(value, dict)
    }
    return base, patterns


def _threshold(source: Source, table: dict[str, Any], base: Thresholds, *where: str | int) -> Thresholds:
    _known(source, table, _THRESHOLD_KEYS, f"in [{'.'.join(map(str, where))}]", *where)
    try:
        return Thresholds(**{"warning_frac": base.warning_frac, "critical_frac": base.critical_frac, **table})
    except InvalidInput as error:
        raise source.at(str(error), *where, error.argument) from None
