"""Usage without a metric: things that are counted through describe calls, as they are now."""

from __future__ import annotations

import re
from collections import Counter as Tally
from collections.abc import Callable
from dataclasses import dataclass

from .._aws import MALFORMED
from ..errors import CollectError
from .clients import Clients, items

#: DescribeInstanceTypes takes so many names a call.
MOST_TYPES = 100
#: DescribeServices and DescribeClusters take so many.
MOST_CLUSTERS = 100
_FAMILY = re.compile(r"[a-z]+")
_STANDARD = frozenset({"a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"})


@dataclass(frozen=True)
class Counter:
    """How one quota's usage is counted, and which calls that takes (service, operation)."""

    calls: tuple[tuple[str, str], ...]
    count: Callable[[Clients], float]


def on_demand_vcpus(families: frozenset[str]) -> Callable[[Clients], float]:
    """Count vCPUs of running On-Demand instances of some families, by their type's default."""

    def count(clients: Clients) -> float:
        running: Tally[str] = Tally()
        states = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
        for page in clients.pages("ec2", "DescribeInstances", Filters=states, PaginationConfig={"PageSize": 1000}):
            for reservation in items(page, "Reservations"):
                for instance in items(reservation, "Instances"):
                    # Spot instances and dedicated hosts have quotas of their own.
                    on_host = (instance.get("Placement") or {}).get("Tenancy") == "host"
                    if not instance.get("InstanceLifecycle") and not on_host:
                        running[str(instance.get("InstanceType"))] += 1
        wanted = sorted(name for name in running if _family(name) in families)
        vcpus: dict[str, int] = {}
        for first in range(0, len(wanted), MOST_TYPES):
            names = wanted[first : first + MOST_TYPES]
            for page in clients.pages("ec2", "DescribeInstanceTypes", InstanceTypes=names):
                for item in items(page, "InstanceTypes"):
                    told = (item.get("VCpuInfo") or {}).get("DefaultVCpus")
                    if isinstance(told, int):
                        vcpus[str(item.get("InstanceType"))] = told
        lacking = [name for name in wanted if name not in vcpus]
        if lacking:
            said = f"no vCPUs are told of {lacking[0]}"
            raise CollectError(said, service="ec2", reason=MALFORMED, retryable=True)
        return float(sum(running[name] * vcpus[name] for name in wanted))

    return count


def _family(instance_type: str) -> str:
    found = _FAMILY.match(instance_type)
    return found.group() if found else ""


def listed(service: str, operation: str, key: str, of_type: str = "") -> Callable[[Clients], float]:
    """Count what a listing lists, all of it or of one Type."""

    def count(clients: Clients) -> float:
        pages = clients.pages(service, operation)
        return float(sum(not of_type or item.get("Type") == of_type for page in pages for item in items(page, key)))

    return count


def clusters(clients: Clients) -> float:
    """Count ECS clusters."""
    return float(len(_clusters(clients)))


def most_services(clients: Clients) -> float:
    """Count the services of the ECS cluster that has most of them: the quota holds for each cluster."""
    most, arns = 0, _clusters(clients)
    for first in range(0, len(arns), MOST_CLUSTERS):
        page = clients.call("ecs", "DescribeClusters", clusters=arns[first : first + MOST_CLUSTERS])
        most = max([most, *(int(item.get("activeServicesCount") or 0) for item in items(page, "clusters"))])
    return float(most)


def _clusters(clients: Clients) -> list[str]:
    found: list[str] = []
    for page in clients.pages("ecs", "ListClusters"):
        arns = page.get("clusterArns")
        if not isinstance(arns, list):
            raise CollectError("clusterArns must be a list", service="ecs", reason=MALFORMED, retryable=True)
        found += map(str, arns)
    return found


def _vcpus(*families: str) -> Counter:
    calls = (("ec2", "DescribeInstances"), ("ec2", "DescribeInstanceTypes"))
    return Counter(calls, on_demand_vcpus(frozenset(families)))


def _listed(service: str, operation: str, key: str, of_type: str = "") -> Counter:
    return Counter(((service, operation),), listed(service, operation, key, of_type))


#: What can be counted. A plug-in is a line here: the calls it makes, for the policy, and a function of the clients.
COUNTERS: dict[tuple[str, str], Counter] = {
    ("ec2", "L-1216C47A"): _vcpus(*_STANDARD),
    ("ec2", "L-DB2E81BA"): _vcpus("g", "gr", "vt"),
    ("ec2", "L-417A185B"): _vcpus("p"),
    ("ec2", "L-7295265B"): _vcpus("x"),
    ("ec2", "L-74FC7D96"): _vcpus("f"),
    ("ec2", "L-1945791B"): _vcpus("inf"),
    ("rds", "L-7B6409FD"): _listed("rds", "DescribeDBInstances", "DBInstances"),
    ("elasticloadbalancing", "L-53DA6B97"): _listed("elbv2", "DescribeLoadBalancers", "LoadBalancers", "application"),
    ("elasticloadbalancing", "L-69A177A2"): _listed("elbv2", "DescribeLoadBalancers", "LoadBalancers", "network"),
    ("elasticloadbalancing", "L-E9E9831D"): _listed("elb", "DescribeLoadBalancers", "LoadBalancerDescriptions"),
    ("ecs", "L-21C621EB"): Counter((("ecs", "ListClusters"),), clusters),
    ("ecs", "L-9EF96962"): Counter((("ecs", "ListClusters"), ("ecs", "DescribeClusters")), most_services),
}
