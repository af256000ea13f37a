"""Quotas from files: what is applied, what is AWS's default, and what a later import changes."""

import io
import itertools
import json
import math

import pytest

from clear import clear_error
from surgetank import InvalidInput, Quota, QuotaKey, Store
from test_cli import here, run

__all__ = ["here", "run"]  # fixtures


def listed(account, quotas, region="us-east-1", **item):
    """The AWS CLI's list of quotas; of no account, the defaults."""
    return {
        "Quotas": [
            {
                "ServiceCode": "ec2",
                "QuotaArn": f"arn:aws:servicequotas:{region}:{account}:ec2/{code}",
                "QuotaCode": code,
                "QuotaName": f"{code} of EC2",
                "Value": value,
                "Unit": "None",
                "Adjustable": True,
                "GlobalQuota": False,
                **item,
            }
            for code, value in quotas.items()
        ]
    }


A = listed("111111111111", {"L-1": 100.0})
B = listed("222222222222", {"L-1": 200.0, "L-3": 7.0})
DEFAULTS = listed("", {"L-1": 5.0, "L-2": 10.0})


def source(*documents):
    return io.BytesIO("".join(map(json.dumps, documents)).encode())


def held(store):
    return {
        (quota.key.account[:1], quota.key.quota_code): (repr(quota.value), repr(quota.default_value))
        for quota in store.quotas()
    }


@pytest.mark.parametrize("order", list(itertools.permutations([A, B, DEFAULTS])))
@pytest.mark.parametrize("at_once", [True, False])
def test_applied_and_default_values_in_any_order(tmp_path, order, at_once):
    """A default stands beside what is applied in every account, and never is a value: L-2 may be at it, or not."""
    with Store(tmp_path / "x.db", create=True) as store:
        for documents in [order] if at_once else [[one] for one in (*order, *order)]:
            store.import_quotas(source(*documents))
        assert held(store) == {
            ("1", "L-1"): ("100.0", "5.0"),
            ("2", "L-1"): ("200.0", "5.0"),
            ("2", "L-3"): ("7.0", "nan"),
            ("-", "L-2"): ("nan", "10.0"),
        }


def test_a_default_that_changes_is_taken_over_and_no_value_with_it(tmp_path):
    with Store(tmp_path / "x.db", create=True) as store:
        for document in (A, DEFAULTS, listed("", {"L-1": 6.0, "L-2": 32.0})):
            store.import_quotas(source(document))
        assert held(store) == {("1", "L-1"): ("100.0", "6.0"), ("-", "L-2"): ("nan", "32.0")}
        store.import_quotas(source(listed("111111111111", {"L-2": 40.0})))
        assert held(store) == {("1", "L-1"): ("100.0", "6.0"), ("1", "L-2"): ("40.0", "32.0")}


def test_what_a_later_source_does_not_state_stays(tmp_path):
    key = QuotaKey(region="a", service_code="ec2")
    with Store(tmp_path / "x.db", create=True) as store:
        store.import_quotas([Quota(key=key, value=5, default_value=2, unit="vCPU", name="n", adjustable=True)])
        store.import_quotas({key: 9.0})
        (quota,) = store.quotas()
        assert (quota.value, quota.default_value, quota.unit, quota.name, quota.adjustable) == (9, 2, "vCPU", "n", True)
        store.import_quotas([Quota(key=key, value=math.nan)])
        assert store.quotas()[0].value == 9


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["a,ec2,5,,", "a,ec2,6,,"], ["once", "5 and 6"]),
        (["a,ec2,5,1,", "a,ec2,5,2,"], ["once", "1 and 2"]),
        (["a,ec2,5,,vCPU", "a,ec2,5,,Count"], ["one unit", "vCPU and Count"]),
    ],
)
def test_a_quota_that_is_given_twice_and_differs_is_refused(tmp_path, rows, words):
    text = "\n".join(["region,service_code,quota,default_value,unit", *rows])
    with Store(tmp_path / "x.db", create=True) as store:
        with clear_error(InvalidInput, "quotas", *words):
            store.import_quotas(io.BytesIO(text.encode()))
        assert store.quotas() == ()


def test_the_command_says_what_changed(here, run):
    (here / "a.json").write_text(json.dumps(A))
    (here / "b.json").write_text(json.dumps(listed("111111111111", {"L-1": 150.0, "L-9": 1.0})))
    assert "a.json: 1 quota, 1 new, 1 of them without usage" in run("import", "a.json")[1]
    for dry in (["--dry-run"], []):
        out = run("import", "b.json", *dry)[1]
        assert "b.json: 2 quotas, 1 new, 1 changed, 2 of them without usage" in out
        assert "  …1111 us-east-1 ec2/L-1: 100 → 150" in out
    body = json.loads(run("import", "a.json", "--json")[1])
    assert body["quotas_changed"] == [{"quota": "111111111111 us-east-1 ec2/L-1", "before": 150.0, "after": 100.0}]


def test_options_of_files_are_for_files(tmp_path):
    with Store(tmp_path / "x.db", create=True) as store, clear_error(InvalidInput, "regoin", "file"):
        store.import_quotas({("a",): 1.0}, regoin="x")


def test_a_dry_run_says_what_would_conflict_and_stores_nothing(here, run):
    (here / "u.csv").write_text("timestamp,region,usage\n0,a,1\n60,a,2\n")
    (here / "v.csv").write_text("timestamp,region,usage\n60,a,3\n120,a,4\n")
    out = run("import", "u.csv", "--service-code", "s", "--dry-run")[1]
    assert "2 added" in out
    assert not (here / "surgetank.db").exists()
    run("import", "u.csv", "--service-code", "s")
    out = run("import", "v.csv", "--service-code", "s", "--dry-run")[1]
    assert "1 added, 1 conflicting" in out
    with Store("surgetank.db") as store:
        assert store.samples().value.tolist() == [1, 2]
        assert len(store.imports()) == 1
