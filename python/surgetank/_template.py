"""The TOML file that `surgetank init` writes: every key with its default, and what it is for."""

TEMPLATE = """\
# surgetank: what may fail, how much headroom to keep, and when to worry.
# Quotas are named by patterns: "ec2", "ec2/L-1216C47A", "us-east-1/ec2/*".

store = "surgetank.db"        # where usage and quotas are kept; relative to this file; or "dynamodb://PREFIX?region=REGION"

# What may fail. "N-1": each Region fails alone, its load in equal shares over the others; "N-2": any two together.
# "shipped": regional_dr (us-east-1 onto us-west-2) and traffic_spike (us-east-1, three times its load).
scenarios = ["N-1"]

# A scenario of your own: as many of these as you like.
# [[scenario]]
# name = "evacuate us-east-1"                       # a surge in place: its only target is the source itself
# source = "us-east-1"                              # or ["us-east-1", "us-east-2"]: they fail together
# targets = { us-west-2 = 0.6, eu-west-1 = 0.4 }    # shares of the load, at most 1 in all; classic ignores them
# multiplier = 1.0                                  # the load by the source's usage, 2.0 doubles it; classic ignores it
# event = "storm"                                   # scenarios of one event are added up, for the longest duration_s
# target_multiplier = 2.0                           # classic policy only: expected traffic at the target
# duration_s = 86400
# ramp_s = 1800
# probability = 0.1                                 # classic policy only: a factor, so 0.1 makes a scenario a tenth
# impact = "critical"                               # classic policy only: critical, high, medium, low
# kind = "regional_failover"

[history]
# step_s = 300                # default: the median spacing of the samples
# stale_after_s = 3600        # an older last sample makes a quota UNKNOWN; default: the longer of 1 h and 12 steps
# keep = "90d"                # usage that `surgetank store compact` keeps, back from the last sample; or "all"

[policy]
name = "quantile"             # or "classic", or "rule", see below
risk = 0.001                  # P(a quota's peak exceeds its need) while an event lasts
# risk_normal = 0.001         # the same while nothing fails; default: risk
# lead_time_s = 259200        # from asking for an increase until it applies, 3 days: growth is looked ahead so far ...
# review_s = 86400            # ... and to the next look at the plan
# lead_time_p95_s = 432000    # a slow increase: ask_by leaves that much time
# normal_duration_s = 86400   # the window whose peak must fit while nothing fails
# growth = 1.0                # a fixed factor; default: estimated
# overlap_frac = 0.0          # share of the load that lands which the failed Region has not released yet
# tail = "fitted"             # "counted": plain empirical quantiles
# confidence = 0.95           # of the intervals; 0: none
# history_s = 7776000         # how much of the past is looked at; default: all
# cost_cap = 1000.0           # the most that headroom may cost; default: no cap

# The classic rule, a baseline: name = "classic" above, or `surgetank plan --policy classic`, `--beside classic`.
# [policy.classic]
# trend = "sample"            # "hour": a week's growth at any step
# history_s = 2592000         # 30 days
# spike_window = 10           # samples
# spike_threshold = 2.0       # standard deviations
# spike_exclude_current = false
# cost_cap = 1000.0

# A rule that a backtest has chosen, name = "rule" above; `surgetank tune --write` fills it in.
# [policy.rule]
# kind = "forecast"           # or percentile, peak, threshold, learned, with the options that each has in Python
# factor = 1.05
# lead_time_s = 259200        # from a request until it applies
# review_s = 86400            # to the next look

# What `surgetank spikes` calls a spike; `surgetank show` names those that go up.
# [spikes]
# detector = "adaptive"       # or "rolling": threshold = 2.0 standard deviations above a trailing window = 10 samples
# direction = "both"          # "up": upward spikes alone
# threshold = 1.45            # decades of rarity: lower finds more

# What the allocation survives, as cheaply as can be: `surgetank allocate`, and a line of every plan.
[allocation]
survive = "N-1"               # "N-2", "N-3", or a list of Regions and of lists that fail together; []: no allocation
# together = [["us-east-1", "us-east-2"]]         # none of them fails without the others
# eligible = { eu-west-1 = ["eu-central-1"] }     # where a Region's load may go; default: everywhere
# share_cap = 1.0             # of a failed Region's load, the most that one other takes
# critical = 1.0              # the share of the load that must survive; the rest is shed first
# at = "history"              # every moment of the last 30 days, or "last", the last observed usage
# sharing = "traffic_surge"   # for `allocate --fail`: or regional_disaster_recovery, availability_zone_failure,
                              # default; without it what is used now moves, and at most .8 of what is free is given

# The gate for pipelines, `surgetank test`: when this Region fails, is there room for its load? `surgetank test --init`
# writes the same as JSON; `--init --config FILE.toml` these lines.
# [test]
# primary_region = "us-east-1"
# secondary_regions = ["us-west-2", "eu-west-1"]
# services = ["ec2", "lambda/L-B99A9384"]          # services, or patterns; every quota is judged by itself
# scenarios = ["regional_failover", "az_failure", "traffic_surge"]
# [test.scenario.regional_failover]
# multiplier = 2.0            # of what the primary Region uses; shipped: 2.0, az_failure 1.3, traffic_surge 3.0
# duration = "24h"            # how long it lasts; shipped: 24h, 4h, 2h
# ramp = "30m"                # how long the load takes to arrive, in ten steps; shipped: 30m, 15m, 10m
# kind = "regional_failover"  # or "az_failure": the load stays in its Region; or "traffic_spike"

# What `surgetank collect` asks AWS for.
[collect]
# accounts = ["111122223333"] # or "organization"; default: the credentials' own
# role = "surgetank-reader"   # to assume in every other account
# regions = ["us-east-1", "us-west-2"]              # or "all" that are enabled; default: the environment's
# watch = ["ec2", "lambda/L-B99A9384"]              # instead of the usual five quotas
# deny = ["ec2/L-0*"]         # never these
backfill = "14d"              # how far back, where the store has no usage yet
period = "5m"                 # between samples, from 1m to 1h
workers = 8                   # accounts and Regions at the same time
rate = 10                     # most calls a second to one account in one Region

[thresholds]
warning_frac = 0.70           # utilization of the free headroom from which status is WARNING ...
critical_frac = 0.85          # ... and CRITICAL; a shortfall is always CRITICAL

# Other thresholds for some quotas; the last pattern that matches counts.
# [thresholds."lambda/*"]
# warning_frac = 0.50
# critical_frac = 0.70

[costs]
# "ec2/L-1216C47A" = 0.05     # price of one unit of quota, in the unit of cost_cap

[check]
# require = ["ec2/*"]         # these must be known: UNKNOWN among them exits 3; default: every quota that has a value
min_coverage = 0.0            # share of all quotas that must be known
"""
