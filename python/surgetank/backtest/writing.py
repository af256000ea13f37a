"""The policy that was chosen, written into the TOML file as it will be used; everything else there stays as it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..errors import InvalidInput, invalid
from ..headroom import ClassicPolicy, QuantilePolicy
from .planned import RulePolicy
from .sized import SizedRule


def policy_toml(policy: RulePolicy | QuantilePolicy) -> str:
    """The section of the TOML file that makes plans by this policy."""
    if isinstance(policy, RulePolicy):
        lines = ["[policy]", 'name = "rule"', "", "[policy.rule]"]
        return "\n".join([*lines, *(f"{key} = {_value(value)}" for key, value in policy.to_table().items())]) + "\n"
    given = {k: v for k, v in policy.to_dict().items() if k != "name" and v is not None and v != "Infinity"}
    default = QuantilePolicy().to_dict()
    own = {key: value for key, value in given.items() if value != default[key] or key == "risk"}
    return "\n".join(["[policy]", 'name = "quantile"', *(f"{k} = {_value(v)}" for k, v in own.items())]) + "\n"


def planned_by(policy: Any, *, lead_time_s: float, review_s: float) -> RulePolicy | QuantilePolicy:
    """The policy of a plan that does what a policy of a backtest did.

    Raises
    ------
    InvalidInput
        Of what no plan can be made by: the classic rule with another scale, the clairvoyant, your own.
    """
    from .learned import LearnedRule
    from .rules import WindowRule

    if isinstance(policy, WindowRule | LearnedRule):
        return RulePolicy(rule=policy, lead_time_s=lead_time_s, review_s=review_s)
    if isinstance(policy, SizedRule) and isinstance(policy.policy, QuantilePolicy):
        scaled = policy.factor != 1 or policy.headroom_factor != 1
        if not scaled:
            return policy.policy
    rule = f"must be a rule, or a QuantilePolicy as it is, to be written; {ClassicPolicy.name} and your own are not"
    raise invalid("policy", rule, str(policy))


def write_policy(path: str | os.PathLike[str], policy: RulePolicy | QuantilePolicy) -> None:
    """Put the policy into a TOML file in place of its [policy]; a new file where there is none.

    Raises
    ------
    InvalidInput
        Of a file that cannot be read or written, or is so written that its [policy] cannot be told from the rest.
    """
    from .._files import replace_text
    from .._toml import decoded, tomllib, with_table

    place = Path(path)
    try:
        text = decoded(place.read_bytes()) if place.exists() else ""
        before = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{place.name}: must be readable TOML: {error} (got {str(place)!r})") from error
    section = policy_toml(policy)
    new = with_table(text, "policy", section)
    wanted = {**{k: v for k, v in before.items() if k != "policy"}, **tomllib.loads(section)}
    try:
        same = tomllib.loads(new) == wanted
    except ValueError:
        same = False
    if not same:
        rule = "must have its [policy] as tables of their own to be replaced; put this there by hand:\n" + section
        raise InvalidInput(f"{place.name}: {rule} (got {str(place)!r})")
    replace_text(place, new)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    number = float(value)
    return repr(int(number)) if number.is_integer() and abs(number) < 2**53 else repr(number)
