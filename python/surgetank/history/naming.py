"""From what a document says of a series, its labels, to the quota's key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..errors import InvalidInput, invalid, nearest, printable, shown
from .keys import KEY_FIELDS, QuotaKey
from .layout import NAMES, REGION, find_columns, key_of, wide_keys

_NAMES = {field: NAMES[field] for field in KEY_FIELDS}
#: Which field to suggest for a label that tells series apart, the likeliest first.
_SUGGESTED = ("quota_code", "service_code", "context_id", "region", "account")
#: How many labels a report can be asked to list.
_MOST_IGNORED = 1000


class Naming:
    """What the series of one source are called; two that would be called the same are refused.

    Parameters
    ----------
    columns : mapping, optional
        Field of the key → name of a label, where the usual names (``region``, ``aws_region``, ``account_id``, …) do not
        serve. CloudWatch's series have the labels ``label`` and ``id``.
    fixed : mapping
        Field of the key → its value in every series; what a label says as well must be the same.
    series : str, optional
        How to take CloudWatch's label apart, such as ``"{region}.{service_code}"``.
    stem : str
        The name of the file without its ending: the service code where nothing else says it.

    Examples
    --------
    >>> naming = Naming(None, {"service_code": "ec2"}, None, "usage")
    >>> str(naming.key({"aws_region": "us-east-1", "quota_code": "L-1216C47A", "job": "quotas"}))
    'us-east-1 ec2/L-1216C47A'
    >>> naming.described, naming.ignored
    ({'region': "label 'aws_region'", 'quota_code': "label 'quota_code'", 'service_code': "'ec2'"}, ('job',))
    """

    def __init__(
        self, columns: Mapping[str, str] | None, fixed: Mapping[str, str], series: str | None, stem: str
    ) -> None:
        """Check what can be checked before the first series."""
        self._columns, self._stem, self._series = dict(columns or {}), stem, series
        self._fixed = {field: value for field, value in fixed.items() if value}
        for options, name in ((self._columns, "columns"), (self._fixed, "fixed")):
            for field in options:
                if field not in KEY_FIELDS:
                    rule = f"must map the fields {', '.join(KEY_FIELDS)}{nearest(str(field), KEY_FIELDS)}"
                    raise invalid(name, rule, field)
        self._template: frozenset[str] = frozenset()
        if series is not None:
            if not isinstance(series, str):
                raise invalid("series", "must be a text such as '{region}.{service_code}'", series)
            wide_keys((), series, self._fixed)
            self._template = frozenset(field for field in KEY_FIELDS if f"{{{field}}}" in series)
            for field in self._columns:
                if field in self._template:
                    raise invalid("series", f"must not name {field}, which is a label of its own", series)
        self._found: dict[tuple[str, ...], dict[str, str]] = {}  # names of labels → field → label
        self._keys: dict[QuotaKey, Mapping[str, str]] = {}
        self._described: dict[str, dict[str, None]] = {}
        self._used: set[str] = set()
        self._ignored: dict[str, None] = {}

    def key(self, labels: Mapping[str, str]) -> QuotaKey:
        """Name the series of these labels. The same labels again are the same series.

        Raises
        ------
        InvalidInput
            Where other labels led to the same key, a label contradicts what is fixed, or the template does not match.
        """
        stated = {name: text.strip() for name, text in labels.items() if text.strip()}
        named = self._of_cloudwatch(stated) if is_cloudwatch(stated) else self._of_prometheus(stated)
        key = key_of(*(named.parts.get(field, "") for field in KEY_FIELDS))
        known = self._keys.setdefault(key, stated)
        if known != stated:
            raise self._ambiguous(key, known, stated, named)
        for field in named.parts:
            self._described.setdefault(field, {})[named.sources[field]] = None
        self._used |= named.used
        if len(self._ignored) < _MOST_IGNORED:
            self._ignored.update(dict.fromkeys(name for name in stated if name not in named.used))
        return key

    @property
    def described(self) -> dict[str, str]:
        """What each field was read from, for the report."""
        result = {field: " or ".join(sources) for field, sources in self._described.items()}
        if self._template and self._keys:
            key, labels = next(iter(self._keys.items()))
            result["series"] = f"{len(self._keys)} labels, such as {shown(_label(labels))} as {key}"
        return result

    @property
    def ignored(self) -> tuple[str, ...]:
        """Labels that play no part in any key."""
        return tuple(name for name in self._ignored if name not in self._used)

    def _of_prometheus(self, labels: Mapping[str, str]) -> _Named:
        if self._series is not None:
            rule = "takes apart the labels of CloudWatch; name Prometheus's with columns={'region': …} (--column)"
            raise invalid("series", rule, self._series)
        named = self._mapped(labels)
        if "service_code" not in named.parts and "quota_code" not in named.parts:
            if "__name__" in labels:
                named.say("service_code", labels["__name__"], "label '__name__'", "__name__")
            elif self._stem:
                named.say("service_code", self._stem, repr(self._stem))
        return named

    def _of_cloudwatch(self, labels: Mapping[str, str]) -> _Named:
        label = _label(labels)
        named = self._mapped(labels)
        named.used.add("id")  # it tells results apart, and is no name
        said = f"label {'label' if 'label' in labels else 'id'!r}"
        if self._series is not None:
            parts = wide_keys([label], self._series, {**named.parts, **self._fixed})[label]._asdict()
            for field in KEY_FIELDS:
                if field in self._template:
                    named.say(field, parts[field], said, "label")
        elif "label" not in named.used and label:
            if REGION.fullmatch(label):
                self._agree("region", label, "the label")
                named.say("region", label, said, "label")
            else:
                free = next((field for field in ("service_code", "quota_code") if field not in named.parts), None)
                if free is not None:
                    named.say(free, label, said, "label")
        if "service_code" not in named.parts and self._stem:
            named.say("service_code", self._stem, repr(self._stem))
        return named

    def _mapped(self, labels: Mapping[str, str]) -> _Named:
        """What the labels say by their names, and what is fixed."""
        names = tuple(labels)
        if names not in self._found:
            self._found[names] = find_columns(names, self._columns, _NAMES)
        named = _Named({}, {}, set())
        for field, name in self._found[names].items():
            self._agree(field, labels[name], f"label {name!r}")
            named.say(field, labels[name], f"label {name!r}", name)
        for field, value in self._fixed.items():
            if field not in named.parts:
                named.say(field, value, repr(value))
        return named

    def _agree(self, field: str, value: str, where: str) -> None:
        if self._fixed.get(field, value) != value:
            rule = f"must be what {where} says, {shown(value)}, or be left out"
            raise invalid(field, rule, self._fixed[field])

    def _ambiguous(
        self, key: QuotaKey, known: Mapping[str, str], labels: Mapping[str, str], named: _Named
    ) -> InvalidInput:
        differ = [name for name in {**known, **labels} if known.get(name) != labels.get(name)]
        if is_cloudwatch(labels) and is_cloudwatch(known):
            both = " and ".join(f"{shown(_label(m))} (Id {shown(m.get('id', ''))})" for m in (known, labels))
            rule = (
                "must tell CloudWatch's results apart: give each a Label of its own in the query, and say what it "
                "names by a pattern such as series='{region} vCPU' (--series) instead of region= and the like; "
                f"two are {printable(str(key), 100)}"
            )
            return invalid("series", rule, both)
        unused = [name for name in differ if name not in named.used]
        name = next((name for name in unused if name != "__name__"), (unused or differ)[0])
        free = next((field for field in _SUGGESTED if field not in named.sources), "quota_code")
        rule = (
            f"must tell series apart: label {shown(name)} differs in two that are {printable(str(key), 100)}; name it "
            f"with columns={{{free!r}: {name!r}}} (--column {free}={name}), or sum over it in the query"
        )
        return invalid("columns", rule, f"{known.get(name, '')} and {labels.get(name, '')}")


class _Named(NamedTuple):
    """One series: field → part of its key, field → where that comes from, and which labels were used."""

    parts: dict[str, str]
    sources: dict[str, str]
    used: set[str]

    def say(self, field: str, value: str, source: str, label: str = "") -> None:
        """State a part."""
        self.parts[field], self.sources[field] = value, source
        if label:
            self.used.add(label)


def is_cloudwatch(labels: Mapping[str, str]) -> bool:
    """Whether these are CloudWatch's, which has nothing but a label and an id."""
    return labels.keys() <= {"id", "label"}


def _label(labels: Mapping[str, str]) -> str:
    return labels.get("label") or labels.get("id", "")
