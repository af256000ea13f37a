"""`make demo-aws`: from AWS to a failover, command by command, on this machine alone.

AWS are the fakes of the tests, and DynamoDB is DynamoDB Local, both on loopback. What leads the commands there are
variables that botocore reads: without these they would ask AWS.
"""

import importlib.util
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

import dynamodb_local

STORE = "dynamodb://demo?region=us-west-2"
EC2 = "ec2/L-1216C47A"
WEST, EU = (f"…3333/{region}/{EC2}" for region in ("us-west-2", "eu-west-1"))
INTERRUPTED, STOPPED = 130, 143
#: They would lead elsewhere.
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@dataclass(frozen=True)
class Step:
    """A command, why it is typed, and how it must end."""

    why: str
    words: tuple[str, ...]
    code: int = 0
    means: str = ""

    def __str__(self):
        return shlex.join(("surgetank", *self.words, "--store", STORE))


STEPS = (
    Step(
        "Two accounts of an organization, three Regions: quotas, and 14 days of usage.\n"
        "Into DynamoDB, in a Region that is not the one to fail.",
        (
            *("collect", "--accounts", "organization", "--role", "surgetank-reader"),
            *("--regions", "us-east-1,us-west-2,eu-west-1", "--watch", EC2, "--watch", "lambda/L-B99A9384"),
        ),
    ),
    Step("Is what was stored sound?", ("store", "check")),
    Step("If any Region fails: is there room in the others?", ("plan", "--scenario", "N-1")),
    Step("And if the load were sent where there is room, instead of in equal shares?", ("allocate", "--quota", EC2)),
    Step(
        "Would service be back within 30 minutes, with the room that the plan found?",
        ("recover", "region-evacuation", "--target", "30m", "--scenario", "N-1"),
    ),
    Step(
        "The same as a gate for a pipeline.",
        ("check", "--scenario", "N-1"),
        2,
        "the pipeline stops here",
    ),
    Step(
        "Today is a game day: its room is promised to it, in both Regions or in none.",
        ("reservations", "reserve", f"{WEST}=250", f"{EU}=150", "--coordination", "game-day", "--why", "drill"),
    ),
    Step(
        "A batch job wants more than is left.",
        ("reservations", "reserve", f"{EU}=400", "--coordination", "reindex", "--why", "new index"),
        2,
        "refused, and nothing was changed",
    ),
    Step("Who holds what?", ("reservations", "list")),
    Step(
        "A storm is coming to us-east-1. Where would its load go? Nothing is done without --yes.",
        ("failover", "prepare", "us-east-1"),
        2,
        "not all of it finds room: the game day holds some",
    ),
    Step("The game day can wait.", ("reservations", "release", "game-day", "--why", "storm in us-east-1")),
    Step(
        "Now there is room. It is held, so that nobody else takes it.",
        ("failover", "prepare", "us-east-1", "--yes", "--why", "storm in us-east-1"),
    ),
    Step(
        "The storm is there: the load goes over.",
        ("failover", "activate", "us-east-1", "--yes", "--why", "storm in us-east-1"),
    ),
    Step("Where does it stand, and what is next?", ("failover", "status")),
)
NEXT = """\
# What next? Collect again every few minutes: what has landed counts as usage then. And, each with --store and --yes:
#   surgetank failover replan us-east-1     half-way: shares out again what has not landed yet
#   surgetank failover recover us-east-1    when the storm is over: a tenth of the load goes back, then half, then all
# In AWS itself: the same commands with your credentials, without the variables AWS_ENDPOINT_URL_… that led them here.
# All was in memory, and is gone."""


def missing():
    """Why it cannot run here, or nothing."""
    if importlib.util.find_spec("botocore") is None:
        return "no botocore: pip install 'surgetank[aws]'"
    return dynamodb_local.unavailable()


def environment(aws, dynamodb):
    """This process's, with endpoints and credentials that lead to the two servers and nowhere else."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    kept = {name: value for name, value in others.items() if name.lower() not in PROXIES}
    return {**kept, **dynamodb.environment(), **aws.environment()}


def say(text):
    """Before what a command prints itself."""
    print(text, flush=True)


def run(steps, env, folder):
    """Run them in order, in an empty folder; give why one was not as it must be, or nothing."""
    for number, step in enumerate(steps, 1):
        say("\n".join(["", *(f"# {line}" for line in step.why.splitlines()), f"$ {step}"]))
        words = [sys.executable, "-m", "surgetank.cli", *step.words, "--store", STORE]
        code = subprocess.run(words, env=env, cwd=folder, stdin=subprocess.DEVNULL).returncode
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        if code != step.code:
            return f"step {number} of {len(steps)} gave exit {code} and not {step.code}: {step}"
        if step.means:
            say(f"# exit {code}: {step.means}")
    return ""


def demo(steps):
    """Start both servers, run the steps, stop what was started; give why it failed, or nothing."""
    import demo_aws_world
    from fake_aws import FakeAws

    world = demo_aws_world.Fleet(now_s=int(time.time()) // 300 * 300)
    with tempfile.TemporaryDirectory() as folder, dynamodb_local.Local() as dynamodb, FakeAws(world) as aws:
        say(f"# AWS: fakes on {aws.url}. DynamoDB: DynamoDB Local on {dynamodb.endpoint}, in memory.")
        wrong = run(steps, environment(aws, dynamodb), folder)
        if aws.broken:
            wrong = f"AWS would not have understood: {aws.broken[0]}"
    if not wrong:
        say(f"\n{NEXT}")
    return wrong


def stop(number, frame):
    """A signal that ends this ends what it started, too."""
    sys.exit(STOPPED)


def main(steps=STEPS):
    """Give the exit code: 0, 1 where something is missing or went wrong, 130 after Ctrl-C."""
    signal.signal(signal.SIGTERM, stop)
    try:
        wrong = missing() or demo(steps)
    except KeyboardInterrupt:
        print("demo-aws: interrupted; nothing is left running", file=sys.stderr)
        return INTERRUPTED
    except RuntimeError as error:  # DynamoDB Local did not start
        wrong = str(error)
    except BrokenPipeError:  # who reads this went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if wrong:
        print(f"demo-aws: {wrong}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
