"""What a run over many accounts and Regions says: as much as a person reads, and how little it holds meanwhile."""

import threading
from dataclasses import dataclass

from fake_aws import FakeAws
from fake_aws_world import Known, World, usage_metric
from surgetank import QuotaKey
from surgetank.collect import Collected, Missing, collect
from surgetank.collect.collecting import WAITING, _gathered
from surgetank.collect.gathering import Gathered
from surgetank.collect.metrics import Metric, Query, _batches, window
from surgetank.collect.quotas import Defaults
from surgetank.collect.result import MOST_ROWS, Part
from test_collect import HOUR, NOW, a_file, held, opened, reach, small, store

__all__ = ["a_file", "opened", "reach", "store"]  # fixtures


def parts(accounts, regions, services=3, codes=4):
    """Parts of which most quotas have no metric, and some something else."""
    made = []
    for account in (f"{n:012}" for n in range(accounts)):
        for region in (f"r-{n}" for n in range(regions)):
            missing = [
                Missing(
                    account=account, region=region, service_code=f"s{s}", quota_code=f"L-{c}", reason="no usage metric"
                )
                for s in range(services)
                for c in range(codes)
            ]
            if region == "r-1":
                missing.append(Missing(account=account, region=region, reason="throttled", retryable=True))
            part = Part(account=account, region=region, status="in part", quotas=20, samples=7, missing=tuple(missing))
            made.append(part)
    return tuple(made)


def test_four_hundred_parts_take_a_row_for_each_account():
    done = Collected(parts(20, 20))
    lines = done.table(200).splitlines()
    assert len(lines) < 30
    assert lines[0] == "Collected from 400 accounts and Regions: 8,000 quotas, 2,800 new samples"
    assert "Account   Regions   Status       Quotas   With usage   New samples" in lines[1]
    assert lines[3].split() == ["…0000", "20", "20", "in", "part", "400", "0", "140", "0", "0", "241"]
    # What is wrong comes before what is usual, each reason once.
    assert lines[-2:] == [
        "Not covered: …0000 r-1 and 19 more: throttled; may pass by itself.",
        "Not covered: …0000 r-0 s0 L-0 and 4,799 more: no usage metric.",
    ]
    assert len(done.to_records()) == 400
    assert Collected(parts(50, 3)).table(200).splitlines()[3].startswith("r-0 ")
    assert len(Collected(parts(1, MOST_ROWS)).table(200).splitlines()) > MOST_ROWS


def test_as_json_a_reason_stands_once_with_all_of_its_quotas():
    done = Collected(parts(1, 2))
    first, second = done.to_dict()["parts"]
    assert [len(part["missing"]) for part in (first, second)] == [3, 4]
    assert first["missing"][0] == {
        "account": "…0000", "region": "r-0", "service_code": "s0", "quota_codes": ["L-0", "L-1", "L-2", "L-3"],
        "reason": "no usage metric", "detail": "", "retryable": False,
    }  # fmt: skip
    assert second["missing"][-1]["quota_codes"] == []
    assert sum(max(1, len(one["quota_codes"])) for part in (first, second) for one in part["missing"]) == len(
        done.missing
    )


@dataclass
class Slow:
    """A gatherer of which every answer is there before the one before it is stored."""

    plan: object
    begun: int = 0
    lock: object = None

    def gather(self, account, region, last):
        with self.lock:
            self.begun += 1
        assert last == (account, region)
        return Gathered(account, region)


def test_no_more_parts_are_held_than_are_at_work_and_a_few():
    gatherer = Slow(small(workers=3), lock=threading.Lock())
    targets = [(f"{n:012}", "r") for n in range(50)]
    found = []
    for stored, one in enumerate(_gathered(gatherer, targets, lambda *target: target)):
        found.append(one.account)
        assert gatherer.begun <= stored + 3 + WAITING
    assert sorted(found) == [account for account, _ in targets]


def test_defaults_of_a_region_that_is_done_are_not_kept(a_file, reach, monkeypatch):
    kept = []
    forget = Defaults.forget
    monkeypatch.setattr(Defaults, "forget", lambda self, region: (forget(self, region), kept.append(dict(self._known))))
    regions = ("us-east-1", "eu-west-1", "us-west-2")
    with reach(FakeAws(World())) as fake:
        collect(a_file, small(regions=regions, workers=1, watch=("rds",)), now=NOW)
    assert [{region for region, _ in known} & set(regions[:n]) for n, known in enumerate(kept, 1)] == [set()] * 3
    assert sum(call.operation == "ListAWSDefaultServiceQuotas" for call in fake.calls) == 3


def test_series_that_were_last_sampled_at_many_times_take_few_calls():
    period, end = 300, NOW // 300 * 300
    backfill = 14 * 24 * HOUR
    lasts = [None, *(end - period * n for n in range(1, 3000))]
    starts = [window(NOW, last, period, backfill)[0] for last in lasts]
    queries = [
        Query(QuotaKey(quota_code=f"L-{n}"), Metric("N", "m"), "Maximum", 1.0, start) for n, start in enumerate(starts)
    ]
    batches = list(_batches(queries, end))
    assert len(batches) < 3000 / 500 + 12
    assert sorted(q.key for _, batch in batches for q in batch) == sorted(q.key for q in queries)
    for start, batch in batches:
        assert len(batch) <= 500
        assert start == min(q.start_s for q in batch)
        assert all(end - start <= 2 * (end - q.start_s) for q in batch)
    assert list(_batches([], end)) == []


def test_a_series_that_is_asked_for_with_older_ones_is_the_same(store, reach):
    """The second run resumes each quota where it ended, in as many calls as there are sizes of what is lacking."""
    codes = [f"L-{n:08X}" for n in range(40)]
    quotas = tuple(Known("ec2", code, 9.0, 9.0, metric=usage_metric("EC2", code)) for code in codes)
    world, whole = World(quotas=quotas, gaps=False), World(quotas=quotas, gaps=False)
    end = NOW // 300 * 300
    value = whole.value
    world.value = lambda *p: None if p[-1] >= end - 300 * (int(p[2].partition("L-")[2][:8], 16) + 1) else value(*p)
    plan = small(watch=("ec2",), backfill_s=6 * HOUR)
    with reach(FakeAws(world)):
        collect(store, plan, now=NOW)
    with reach(FakeAws(whole)) as fake:
        done = collect(store, plan, now=NOW)
    asked = [call.parameters for call in fake.calls if call.operation == "GetMetricData"]
    assert len(asked) <= 5
    assert (done.parts[0].left_out, done.exit_code) == (0, 0)
    assert {len(points) for points in held(store).values()} == {72}
    assert done.parts[0].samples == sum(n + 1 for n in range(40))
