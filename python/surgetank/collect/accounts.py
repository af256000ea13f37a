"""Which accounts and Regions there are, and how one gets into them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .._aws import MALFORMED, NO_CREDENTIALS, NOT_ENABLED, REFUSED, Failure, failure_of, new_session, without_accounts
from ..errors import CollectError, invalid, nearest
from .clients import Clients, Pace, beside, items
from .planned import ALL, ORGANIZATION, CollectPlan
from .regions import ALWAYS, CALL, Regions, regions_of
from .result import Missing

SESSION_NAME = "surgetank"


class Accounts:
    """The accounts and Regions of a plan, from the credentials of the environment.

    Raises
    ------
    CollectError
        Who we are cannot be told, or the organization's accounts cannot be listed: nothing can be collected.
    InvalidInput
        A Region that AWS does not have, or an account that needs a role and none is given.
    """

    def __init__(self, plan: CollectPlan) -> None:
        """Ask who we are, and which accounts there are."""
        self._plan, self._session = plan, new_session("collect")
        # Of the global endpoint, which older versions of botocore ask, Regions that are opted into take no credentials.
        self._session.set_config_variable("sts_regional_endpoints", "regional")
        own_region = self._session.get_config_variable("region")
        if not plan.regions and not own_region:
            raise invalid("regions", "must be given, as neither the environment nor the profile names one", "none")
        named = () if plan.all_regions else plan.regions or (own_region,)
        self._here = Clients(self._session, (*named, own_region or ALWAYS["aws"])[0], plan, Pace(plan.rate))
        caller = self._ask("sts", "GetCallerIdentity")
        arn = str(caller.get("Arn") or "").split(":")
        self.own, self._partition = str(caller.get("Account") or ""), arn[1] if len(arn) > 5 else "aws"
        if not self.own:
            raise CollectError("sts: GetCallerIdentity names no account", service="sts", reason=MALFORMED)
        self._check_regions(named)
        #: Accounts that cannot be asked, with the reason.
        self.left_out: list[Missing] = []
        #: Regions that an account has not enabled, where all of them are asked for.
        self.not_enabled: list[Missing] = []
        self.ids = self._listed() if plan.accounts == (ORGANIZATION,) else plan.accounts or (self.own,)
        if plan.role is None and (others := [account for account in self.ids if account != self.own]):
            raise invalid("role", "must be given for accounts other than the credentials' own", f"{len(others)} others")
        self._sessions: dict[str, Any] = {}
        self._locks = {account: threading.Lock() for account in self.ids}
        self._regions = dict.fromkeys(self.ids, named) if named else self._enabled()

    @property
    def targets(self) -> list[tuple[str, str]]:
        """Accounts and Regions. Neighbours are different accounts, each with a pace of its own."""
        regions = dict.fromkeys(region for enabled in self._regions.values() for region in enabled)
        return [(account, region) for region in regions for account in self.ids if region in self._regions[account]]

    def home(self, account: str) -> str:
        """The Region in which quotas of an account as a whole are asked for, once."""
        regions = self._regions[account]
        return "us-east-1" if "us-east-1" in regions else regions[0]

    def clients(self, account: str, region: str) -> Clients:
        """The clients of an account in a Region; the role is assumed once, and an error is raised again."""
        with self._locks[account]:
            if account not in self._sessions:
                try:
                    self._sessions[account] = self._session if account == self.own else self._assumed(account)
                except Exception as error:
                    self._sessions[account] = error
        session = self._sessions[account]
        if isinstance(session, Exception):
            raise session
        return Clients(session, region, self._plan, Pace(self._plan.rate))

    def close(self) -> None:
        """Close the connections."""
        self._here.__exit__()

    def _assumed(self, account: str) -> Any:
        """A session in the account's role, which is assumed again before it expires."""
        from botocore.credentials import RefreshableCredentials

        role = f"arn:{self._partition}:iam::{account}:role/{self._plan.role}"

        def fetch() -> dict[str, str]:
            answer = self._here.call("sts", "AssumeRole", RoleArn=role, RoleSessionName=SESSION_NAME)
            given = answer.get("Credentials") or {}
            parts = {"access_key": "AccessKeyId", "secret_key": "SecretAccessKey", "token": "SessionToken"}
            found = {name: given.get(key) for name, key in parts.items()}
            if not all(found.values()) or not hasattr(given.get("Expiration"), "isoformat"):
                raise CollectError("AssumeRole gave no credentials", service="sts", reason=NO_CREDENTIALS)
            return {**found, "expiry_time": given["Expiration"].isoformat()}

        made = RefreshableCredentials.create_from_metadata(fetch(), refresh_using=fetch, method="assume-role")
        return beside(self._session, made)

    def _listed(self) -> tuple[str, ...]:
        """The organization's active accounts."""
        active = []
        try:
            for page in self._here.pages("organizations", "ListAccounts"):
                for item in items(page, "Accounts"):
                    account, state = str(item.get("Id") or ""), item.get("State") or item.get("Status")
                    if state == "ACTIVE":
                        active.append(account)
                    else:
                        said = Failure(REFUSED, f"the account is {state}")
                        self.left_out.append(
                            Missing(account=account, region="", reason=said.reason, detail=said.detail)
                        )
        except Exception as error:
            raise self._error("organizations", error) from error
        return tuple(dict.fromkeys(active))

    def _enabled(self) -> dict[str, tuple[str, ...]]:
        """The Regions that each account has enabled; what it has not, and who does not say, is noted."""
        with ThreadPoolExecutor(self._plan.workers, thread_name_prefix="surgetank-regions") as pool:
            answers = dict(zip(self.ids, pool.map(self._regions_of, self.ids), strict=True))
        for account, found in answers.items():
            if isinstance(found, Missing):
                self.left_out.append(found)
                continue
            for region, status in found.others.items():
                said = Failure(NOT_ENABLED, status).detail
                self.not_enabled.append(Missing(account=account, region=region, reason=NOT_ENABLED, detail=said))
        return {k: () if isinstance(found, Missing) else tuple(found.enabled) for k, found in answers.items()}

    def _regions_of(self, account: str) -> Regions | Missing:
        own, other = self._here.region, ALWAYS.get(self._partition, self._here.region)
        service, more = "", ""
        try:
            for region in dict.fromkeys((own, other)):
                with self.clients(account, region) as clients:
                    service, more = CALL[0], f'; name Regions instead of "{ALL}"'
                    try:
                        return regions_of(clients)
                    except Exception as error:
                        if region == other or failure_of(error).reason != NOT_ENABLED:
                            raise
        except Exception as error:
            failure = failure_of(error)
        return Missing(
            account=account, region="", service_code=service, reason=failure.reason,
            detail=f"{failure.detail}{more}", retryable=failure.retryable,
        )  # fmt: skip

    def _check_regions(self, regions: tuple[str, ...]) -> None:
        known = self._session.get_available_regions("ec2", partition_name=self._partition)
        for region in regions:
            if known and region not in known:
                rule = f"must be Regions that this version of botocore knows{nearest(region, known)}"
                raise invalid("regions", rule, region)

    def _ask(self, service: str, operation: str) -> dict[str, Any]:
        try:
            return self._here.call(service, operation)
        except Exception as error:
            raise self._error(service, error) from error

    def _error(self, service: str, error: Exception) -> CollectError:
        failure = failure_of(error)
        detail = f": {failure.detail}" if failure.detail and failure.reason != failure.detail else ""
        return CollectError(
            without_accounts(f"{service} in {self._here.region}: {failure.reason}{detail}"),
            service=service,
            region=self._here.region,
            reason=failure.reason,
            retryable=failure.retryable,
        )
