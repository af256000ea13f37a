"""Which accounts there are, and how one gets into them."""

from __future__ import annotations

import threading
from typing import Any

from .._aws import MALFORMED, NO_CREDENTIALS, failure_of, new_session, without_accounts
from ..errors import CollectError, invalid, nearest
from .clients import Clients, Pace, beside, items
from .planned import ORGANIZATION, CollectPlan

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
        own_region = self._session.get_config_variable("region")
        if not plan.regions and not own_region:
            raise invalid("regions", "must be given, as neither the environment nor the profile names one", "none")
        self.regions: tuple[str, ...] = plan.regions or (own_region,)
        self._here = Clients(self._session, self.regions[0], plan, Pace(plan.rate))
        caller = self._ask("sts", "GetCallerIdentity")
        arn = str(caller.get("Arn") or "").split(":")
        self.own, self._partition = str(caller.get("Account") or ""), arn[1] if len(arn) > 5 else "aws"
        if not self.own:
            raise CollectError("sts: GetCallerIdentity names no account", service="sts", reason=MALFORMED)
        self._check_regions()
        #: Accounts that are listed and cannot be asked, with the reason.
        self.left_out: dict[str, str] = {}
        self.ids = self._listed() if plan.accounts == (ORGANIZATION,) else plan.accounts or (self.own,)
        if plan.role is None and (others := [account for account in self.ids if account != self.own]):
            raise invalid("role", "must be given for accounts other than the credentials' own", f"{len(others)} others")
        self._sessions: dict[str, Any] = {}
        self._locks = {account: threading.Lock() for account in self.ids}

    @property
    def home(self) -> str:
        """The Region in which quotas of the account as a whole are asked for, once."""
        return "us-east-1" if "us-east-1" in self.regions else self.regions[0]

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
                        self.left_out[account] = f"the account is {state}"
        except Exception as error:
            raise self._error("organizations", error) from error
        return tuple(dict.fromkeys(active))

    def _check_regions(self) -> None:
        known = self._session.get_available_regions("ec2", partition_name=self._partition)
        for region in self.regions:
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
            without_accounts(f"{service} in {self.regions[0]}: {failure.reason}{detail}"),
            service=service,
            region=self.regions[0],
            reason=failure.reason,
            retryable=failure.retryable,
        )
