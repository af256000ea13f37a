"""What the fake of AWS knows: quotas, usage and things that can be counted, each a plain function of its name."""

import datetime as dt
import math
from dataclasses import dataclass, field
from zlib import crc32

OWN = "111122223333"
LETTERS = "ABCDEFGHIJ"
UTC = dt.timezone.utc
REGIONS = (
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1", "eu-west-1", "eu-west-2"),
    *("eu-west-3", "eu-central-1", "eu-north-1", "eu-south-1", "ap-south-1", "ap-southeast-1", "ap-southeast-2"),
    *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-east-1", "af-south-1"),
)
#: Of these, those that an account must opt into.
OPT_IN = ("eu-south-1", "ap-east-1", "af-south-1")


def access_key(account):
    return "ASIA" + "".join(LETTERS[int(digit)] for digit in account)


def account_of(key):
    return "".join(str(LETTERS.index(letter)) for letter in key[4:16])


def accounts(count):
    return tuple(f"{4444_0000_0000 + 1_0001 * n}" for n in range(count))


@dataclass(frozen=True)
class Known:
    """One quota of the fake: ``applied`` None is a quota that the applied list does not hold."""

    service: str
    code: str
    default: float | None = 100.0
    applied: float | None = None
    unit: str = "None"
    metric: tuple | None = None  # namespace, name, dimensions, recommended statistic
    period: tuple | None = None
    everywhere: bool = False
    context: str = ""
    error: str = ""
    used_percent: float | None = None  # of the utilization report, which has it only where it is given


def usage_metric(service, resource, statistic="Maximum", name="ResourceCount"):
    return "AWS/Usage", name, {"Service": service, "Resource": resource, "Type": "Resource", "Class": "None"}, statistic


DEFAULT_QUOTAS = (
    Known("ec2", "L-1216C47A", 5.0, 640.0, metric=usage_metric("EC2", "vCPU")),
    Known("ec2", "L-0263D0A3", 5.0, 5.0),  # Elastic IPs: neither metric nor counter
    Known("lambda", "L-B99A9384", 1000.0, None),  # at its default, usage in a metric that is known
    Known("rds", "L-7B6409FD", 40.0, 60.0),
    Known("elasticloadbalancing", "L-53DA6B97", 50.0, 75.0),
    Known("elasticloadbalancing", "L-E9E9831D", 20.0, None),
)


@dataclass
class World:
    """Quotas by service, accounts and Regions; nothing in it changes."""

    quotas: tuple = DEFAULT_QUOTAS
    own: str = OWN
    listed: tuple = ()  # of the organization: (account, state)
    points_page: int = 100_800
    gaps: bool = True
    bad: bool = False  # NaN, infinite and negative data points among the others
    pending: int = 0  # how often the utilization report is not ready
    made: int = 1_760_000_100
    opted_in: dict = field(
        default_factory=dict
    )  # account → Regions; those that must be opted into are not enabled else
    services: dict = field(init=False)

    def __post_init__(self):
        self.services = {}
        for quota in self.quotas:
            self.services.setdefault(quota.service, []).append(quota)

    def answer(self, call, page):
        return getattr(self, f"{call.service.replace('-', '_')}_{call.operation}")(call, page)

    # Service Quotas.

    def service_quotas_ListServices(self, call, page):
        return paged([{"ServiceCode": name} for name in self.services], "Services", call, page)

    def service_quotas_ListServiceQuotas(self, call, page):
        known = self.services.get(call.parameters["ServiceCode"], ())
        found = [listed(q, call.region, call.account) for q in known if q.applied is not None or q.error]
        return paged(found, "Quotas", call, min(page, call.parameters.get("MaxResults", 100)))

    def service_quotas_ListAWSDefaultServiceQuotas(self, call, page):
        known = self.services.get(call.parameters["ServiceCode"], ())
        found = [listed(q, call.region, "") for q in known if q.default is not None and not q.context]
        return paged(found, "Quotas", call, min(page, call.parameters.get("MaxResults", 100)))

    def service_quotas_StartQuotaUtilizationReport(self, call, page):
        return {"ReportId": "report-1", "Status": "PENDING"}

    def service_quotas_GetQuotaUtilizationReport(self, call, page):
        if self.pending:
            self.pending -= 1
            return {"ReportId": "report-1", "Status": "PENDING"}
        assert call.parameters["ReportId"] == "report-1"
        found = [
            {
                "ServiceCode": quota.service,
                "QuotaCode": quota.code,
                "Utilization": quota.used_percent,
                "AppliedValue": quota.applied or quota.default,
            }
            for quota in self.quotas
            if quota.used_percent is not None
        ]
        whole = {
            "ReportId": "report-1",
            "Status": "COMPLETED",
            "GeneratedAt": dt.datetime.fromtimestamp(self.made, UTC),
        }
        return whole | paged(found, "Quotas", call, min(page, call.parameters.get("MaxResults", 1000)))

    # CloudWatch.

    def cloudwatch_GetMetricData(self, call, page):
        given = call.parameters
        queries = given["MetricDataQueries"]
        assert 1 <= len(queries) <= 500
        assert given.get("MaxDatapoints", 100_800) <= 100_800
        assert len({query["Id"] for query in queries}) == len(queries)
        start, end = (int(given[name].timestamp()) for name in ("StartTime", "EndTime"))
        points = []
        for query in queries:
            stat = query["MetricStat"]
            own = self.points(call.account, call.region, stat, start, end)
            points += [(query["Id"], at, value) for at, value in own] or [(query["Id"], None, None)]
        offset = int(given.get("NextToken") or 0)
        part = points[offset : offset + self.points_page]
        rest = {id for id, _, _ in points[offset + self.points_page :]}
        results = {}
        for id, at, value in part:
            status = "PartialData" if id in rest else "Complete"
            row = results.setdefault(id, {"Id": id, "Label": id, "Timestamps": [], "Values": [], "StatusCode": status})
            if at is not None:
                row["Timestamps"].append(dt.datetime.fromtimestamp(at, UTC))
                row["Values"].append(value)
        more = {"NextToken": str(offset + self.points_page)} if rest else {}
        return {"MetricDataResults": list(results.values()), "Messages": [], **more}

    def points(self, account, region, stat, start, end):
        metric, period = stat["Metric"], stat["Period"]
        assert period % 60 == 0
        name = f"{metric['Namespace']}/{metric['MetricName']}/{metric.get('Dimensions', [])}"
        for at in range(-(-start // period) * period, end, period):
            value = self.value(account, region, name, stat["Stat"], at)
            if value is not None:
                yield at, value

    def value(self, account, region, name, statistic, at):
        """The data point of an instant; None where there is none."""
        number = crc32(f"{account} {region} {name} {statistic} {at}".encode())
        if self.gaps and number % 17 == 0:
            return None
        if self.bad and number % 13 == 0:
            return (math.nan, math.inf, -1.0)[number % 3]
        return number % 1000 / 4

    # Who is who.

    def sts_GetCallerIdentity(self, call, page):
        return {"Account": call.account, "UserId": "u", "Arn": f"arn:aws:iam::{call.account}:user/u"}

    def sts_AssumeRole(self, call, page):
        account = call.parameters["RoleArn"].split(":")[4]
        name = call.parameters["RoleSessionName"]
        return {
            "Credentials": {
                "AccessKeyId": access_key(account),
                "SecretAccessKey": "secret",
                "SessionToken": f"token of {account}",
                "Expiration": dt.datetime.now(UTC) + dt.timedelta(hours=1),
            },
            "AssumedRoleUser": {"AssumedRoleId": f"AROA:{name}", "Arn": f"{call.parameters['RoleArn']}/{name}"},
        }

    def organizations_ListAccounts(self, call, page):
        found = [{"Id": account, "Status": state} for account, state in self.listed]
        return paged(found, "Accounts", call, min(page, 7))

    def ec2_DescribeRegions(self, call, page):
        assert call.parameters == {"AllRegions": True}
        opted = self.opted_in.get(call.account, ())
        states = {region: "opted-in" if region in opted else "not-opted-in" for region in OPT_IN}
        return {
            "Regions": [
                {
                    "RegionName": name,
                    "Endpoint": f"ec2.{name}.x",
                    "OptInStatus": states.get(name, "opt-in-not-required"),
                }
                for name in REGIONS
            ]
        }

    # What can be counted.

    def count(self, call, what, most=9):
        return self.many(call.account, call.region, what, most)

    @staticmethod
    def many(account, region, what, most=9):
        return crc32(f"{account} {region} {what}".encode()) % most

    def ec2_DescribeInstances(self, call, page):
        assert call.parameters["Filters"] == [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
        made = [("m5.large", {}), ("c7g.xlarge", {}), ("g5.xlarge", {}), ("im4gn.large", {"InstanceLifecycle": "spot"})]
        made += [("r5.2xlarge", {"Placement": {"Tenancy": "host"}})]
        found = [
            {"Instances": [{"InstanceId": f"i-{name}-{n}", "InstanceType": name, **more}]}
            for name, more in made
            for n in range(self.count(call, name))
        ]
        return paged(found, "Reservations", call, min(page, call.parameters.get("MaxResults", 1000)))

    def ec2_DescribeInstanceTypes(self, call, page):
        vcpus = {"m5.large": 2, "c7g.xlarge": 4, "g5.xlarge": 4}
        names = call.parameters["InstanceTypes"]
        assert len(names) <= 100
        return {"InstanceTypes": [{"InstanceType": n, "VCpuInfo": {"DefaultVCpus": vcpus[n]}} for n in names]}

    def rds_DescribeDBInstances(self, call, page):
        found = [{"DBInstanceIdentifier": f"db-{n}"} for n in range(self.count(call, "db", 30))]
        return paged(found, "DBInstances", call, page, "Marker", "Marker")

    def elbv2_DescribeLoadBalancers(self, call, page):
        found = [{"LoadBalancerName": f"a{n}", "Type": "application"} for n in range(self.count(call, "alb"))]
        found += [{"LoadBalancerName": f"n{n}", "Type": "network"} for n in range(self.count(call, "nlb"))]
        return paged(found, "LoadBalancers", call, page, "Marker", "NextMarker")

    def elb_DescribeLoadBalancers(self, call, page):
        found = [{"LoadBalancerName": f"c{n}"} for n in range(self.count(call, "clb"))]
        return paged(found, "LoadBalancerDescriptions", call, page, "Marker", "NextMarker")

    def ecs_ListClusters(self, call, page):
        found = [f"arn:aws:ecs:{call.region}:{call.account}:cluster/{n}" for n in range(self.count(call, "ecs", 150))]
        return paged(found, "clusterArns", call, page, "nextToken", "nextToken")

    def ecs_DescribeClusters(self, call, page):
        arns = call.parameters["clusters"]
        assert len(arns) <= 100
        return {"clusters": [{"clusterArn": arn, "activeServicesCount": int(arn.rpartition("/")[2])} for arn in arns]}


def listed(quota, region, account):
    """A quota as Service Quotas lists it; without an account, its default."""
    where = "" if quota.everywhere else region
    found = {
        "ServiceCode": quota.service,
        "ServiceName": quota.service,
        "QuotaArn": f"arn:aws:servicequotas:{where}:{account}:{quota.service}/{quota.code}",
        "QuotaCode": quota.code,
        "QuotaName": f"{quota.service} {quota.code}",
        "Unit": quota.unit,
        "Adjustable": not quota.code.endswith("0"),
        "GlobalQuota": quota.everywhere,
    }
    if quota.error and account:
        found["ErrorReason"] = {"ErrorCode": quota.error, "ErrorMessage": "the service did not answer"}
    else:
        found["Value"] = quota.applied if account else quota.default
    if quota.metric:
        names = ("MetricNamespace", "MetricName", "MetricDimensions", "MetricStatisticRecommendation")
        found["UsageMetric"] = dict(zip(names, quota.metric, strict=True))
    if quota.period:
        found["Period"] = dict(zip(("PeriodValue", "PeriodUnit"), quota.period, strict=True))
    if quota.context and account:
        found["QuotaContext"] = {"ContextScope": "RESOURCE", "ContextId": quota.context}
    return found


def paged(found, key, call, page, given="NextToken", more="NextToken"):
    """One page; the token is where the next begins."""
    first = int(call.parameters.get(given) or 0)
    rest = {more: str(first + page)} if first + page < len(found) else {}
    return {key: found[first : first + page], **rest}
