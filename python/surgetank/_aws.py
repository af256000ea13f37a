"""What everything that asks AWS shares: a session, and why AWS did not answer, in words that a person acts on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .errors import CollectError, MissingExtra, printable

DENIED, THROTTLED, NOT_ENABLED, TIMEOUT = "access denied", "throttled", "Region not enabled", "timeout"
EXPIRED, NO_CREDENTIALS, MALFORMED = "expired credentials", "no credentials", "malformed response"
CLOCK = "clock skew"
SERVICE, UNREACHABLE, REFUSED = "service error", "unreachable", "refused"
NO_METRIC, NO_VALUE, NOT_STORED = "no usage metric", "no value", "not stored"

_RETRYABLE = {THROTTLED, TIMEOUT, UNREACHABLE, SERVICE, MALFORMED}
_CODES = {
    DENIED: "AccessDenied AccessDeniedException UnauthorizedOperation Forbidden AuthorizationError",
    THROTTLED: "Throttling ThrottlingException TooManyRequestsException RequestLimitExceeded SlowDown "
    "RequestThrottled RequestThrottledException LimitExceededException PriorRequestNotComplete "
    "ProvisionedThroughputExceededException TransactionInProgressException",
    EXPIRED: "ExpiredToken ExpiredTokenException RequestExpired TokenRefreshRequired",
    CLOCK: "RequestTimeTooSkewed RequestInTheFuture",
    # Who we are was told before, so a Region that does not know the token is one that the account has not enabled.
    NOT_ENABLED: "OptInRequired UnrecognizedClientException InvalidClientTokenId AuthFailure "
    "SubscriptionRequiredException RegionDisabledException",
    SERVICE: "InternalFailure InternalError InternalServiceError ServiceException ServiceUnavailable "
    "DependencyFailureException ServerException ServiceUnavailableException",
}
_REASON = {code: reason for reason, codes in _CODES.items() for code in codes.split()}
#: Characters of what AWS said that are kept.
MOST_SAID = 300
_SECRET = re.compile(r"\b(AKIA|ASIA|AROA|AIDA)[A-Z0-9]{8,}")
_ACCOUNT = re.compile(r"(?<!\d)\d{8}(\d{4})(?!\d)")
#: A moment to the minute, as people put it into names; of account ids, one in two thousand looks like it.
_MOMENT = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])[0-5]\d")


@dataclass(frozen=True)
class Failure:
    """One reason, what AWS said, and whether the same call may succeed later without anybody doing anything.

    What AWS said is kept without ids of keys, on one line and cut: it is printed, and may be of any length.

    Examples
    --------
    >>> Failure(DENIED, "AKIAIOSFODNN7EXAMPLE may not").detail
    'AKIA… may not'
    """

    reason: str
    detail: str = ""

    def __post_init__(self) -> None:
        """Mask before it is cut and made printable: then no id is cut in two, or begins behind an escape."""
        object.__setattr__(self, "detail", printable(_SECRET.sub(r"\1…", self.detail), MOST_SAID))

    @property
    def retryable(self) -> bool:
        """Whether it may pass by itself."""
        return self.reason in _RETRYABLE


def new_session(what: str) -> Any:
    """A botocore session with the environment's credentials and settings, for ``what``."""
    try:
        from botocore.session import Session
    except ImportError as error:
        raise MissingExtra(f"{what} needs boto3: pip install 'surgetank[aws]'") from error
    return Session()


def without_accounts(text: str, *, moments: bool = False) -> str:
    """Account ids as their last four digits; ``moments``: but for what may be a moment in a name, 202611222130.

    Examples
    --------
    >>> without_accounts("arn:aws:iam::123456789012:role/reader")
    'arn:aws:iam::…9012:role/reader'
    """

    def shortened(found: re.Match[str]) -> str:
        return found[0] if moments and _MOMENT.fullmatch(found[0]) else f"…{found[1]}"

    return _ACCOUNT.sub(shortened, text)


def failure_of(error: Exception) -> Failure:
    """Give the reason of anything botocore raises, and of a `CollectError` of ours."""
    from botocore import exceptions as boto

    said = str(error)
    if isinstance(error, CollectError):
        return Failure(error.reason, said)
    if isinstance(error, boto.ClientError):
        response = error.response if isinstance(error.response, dict) else {}
        body = response.get("Error") or {}
        code = str(body.get("Code") or "")
        detail = f"{code}: {body.get('Message') or ''}".rstrip(": ")
        if code == "InvalidSignatureException" and re.search("expired|not yet current", detail):
            return Failure(CLOCK, detail)  # else it says that the secret is wrong
        status = (response.get("ResponseMetadata") or {}).get("HTTPStatusCode") or 0
        return Failure(_REASON.get(code) or (SERVICE if status >= 500 else REFUSED), detail)
    missing = (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError)
    if isinstance(error, (*missing, boto.ProfileNotFound)):
        return Failure(NO_CREDENTIALS, said)
    if isinstance(error, boto.SSOError | boto.TokenRetrievalError):
        return Failure(EXPIRED, said)
    if isinstance(error, boto.ReadTimeoutError | boto.ConnectTimeoutError):
        return Failure(TIMEOUT, said)
    if isinstance(error, boto.EndpointConnectionError | boto.ConnectionClosedError | boto.HTTPClientError):
        return Failure(UNREACHABLE, said)
    # What is left is an answer that botocore cannot read, each in its own way.
    return Failure(MALFORMED, f"{type(error).__name__}: {said}")
