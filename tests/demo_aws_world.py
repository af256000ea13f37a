"""The fleet of `make demo-aws`: two accounts in three Regions, of which one service would not survive a failure."""

import math
from dataclasses import dataclass, replace
from zlib import crc32

from fake_aws_world import Known, World, listed, usage_metric

SHOP, PAYMENTS = "111122223333", "444455556666"
REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
QUOTAS = (
    Known("ec2", "L-1216C47A", 5.0, metric=usage_metric("EC2", "vCPU")),
    Known("lambda", "L-B99A9384", 1000.0),
)
#: Service of an account → in each Region, its usual usage and its quota.
FLEET = {
    (SHOP, "ec2"): ((620, 2000), (410, 1240), (300, 732)),
    (SHOP, "lambda"): ((900, 3000), (260, 3000), (180, 3000)),
    (PAYMENTS, "ec2"): ((120, 640), (90, 640), (60, 640)),
    (PAYMENTS, "lambda"): ((300, 2000), (200, 2000), (150, 2000)),
}
#: Hours from now until each Region's day is at its height: whenever it runs, it is early evening in us-east-1.
PEAK_IN_H = (-2.0, 1.0, -8.0)


@dataclass
class Fleet(World):
    """The same numbers whenever it is asked, but for their dates."""

    quotas: tuple = QUOTAS
    own: str = SHOP
    listed: tuple = ((SHOP, "ACTIVE"), (PAYMENTS, "ACTIVE"))
    gaps: bool = False
    now_s: int = 0

    def service_quotas_ListServiceQuotas(self, call, page):
        known = self.services.get(call.parameters["ServiceCode"], ())
        where = REGIONS.index(call.region)
        applied = [replace(one, applied=float(FLEET[call.account, one.service][where][1])) for one in known]
        return {"Quotas": [listed(one, call.region, call.account) for one in applied]}

    def value(self, account, region, name, statistic, at):
        """A day's rise and fall, a little growth, and noise."""
        service, where = "ec2" if "vCPU" in name else "lambda", REGIONS.index(region)
        step = (at - self.now_s) // 300
        day = step / 288
        season = 0.25 * math.cos(2 * math.pi * (day - PEAK_IN_H[where] / 24))
        noise = 0.06 * (crc32(f"{account} {region} {service} {step}".encode()) % 1001 / 1000 - 0.5)
        return float(round(FLEET[account, service][where][0] * (1 + season + 0.002 * day + noise)))
