"""Calls to AWS: every one at the pace that is allowed, tried again by botocore, and paged to the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from .._aws import MALFORMED, new_session
from ..errors import CollectError
from .planned import CollectPlan

#: Pages of one listing; an answer that never ends is no answer.
MOST_PAGES = 20_000
#: Sessions read the same descriptions of services, and botocore builds clients with locks that are not its own.
_building = threading.RLock()


class Pace:
    """At most so many calls a second, evenly: no burst, so that any second has no more than that."""

    def __init__(self, rate: float) -> None:
        """Begin at once."""
        self._gap_s, self._next, self._lock = 1 / rate, 0.0, threading.Lock()

    def wait(self, **_: object) -> None:
        """Sleep until it is one's turn; as a botocore event handler, let the request be sent."""
        with self._lock:
            now = time.monotonic()
            at = max(now, self._next)
            self._next = at + self._gap_s
        if at > now:
            time.sleep(at - now)


def beside(session: Any, credentials: Any) -> Any:
    """Another session with other credentials, which shares what is costly to load."""
    other = new_session("collect")
    other.register_component("data_loader", session.get_component("data_loader"))
    other._credentials = credentials  # as botocore's own documentation of assumed roles does
    return other


class Clients:
    """The clients of one account in one Region, made when they are first asked for."""

    def __init__(self, session: Any, region: str, plan: CollectPlan, pace: Pace) -> None:
        """Keep what clients are made of."""
        self.region, self._session, self._plan, self._pace = region, session, plan, pace
        self._clients: dict[str, Any] = {}

    def __enter__(self) -> Clients:
        """Use them in a with block; connections are closed at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        for client in self._clients.values():
            with suppress(Exception):
                client.close()
        self._clients.clear()

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """One call; its answer."""
        return _mapping(getattr(self._client(service), _method(operation))(**parameters), service, operation)

    def has(self, service: str, operation: str) -> bool:
        """Whether this version of botocore knows an operation."""
        return hasattr(self._client(service), _method(operation))

    def pages(self, service: str, operation: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Every page of an answer, as it arrives: what came before an error is there."""
        pages = self._client(service).get_paginator(_method(operation)).paginate(**parameters)
        for number, page in enumerate(pages):
            if number == MOST_PAGES:
                said = f"{operation} goes on after {MOST_PAGES:,} pages"
                raise CollectError(said, service=service, region=self.region, reason=MALFORMED, retryable=True)
            yield _mapping(page, service, operation)

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            from botocore.config import Config

            plan = self._plan
            config = Config(
                connect_timeout=plan.connect_timeout_s,
                read_timeout=plan.read_timeout_s,
                retries={"mode": "adaptive", "total_max_attempts": plan.attempts},
                user_agent_extra="surgetank",
            )
            with _building:
                client = self._session.create_client(service, region_name=self.region, config=config)
            client.meta.events.register("before-send", self._pace.wait)  # each try counts
            self._clients[service] = client
        return self._clients[service]


def items(page: dict[str, Any], key: str, *, must: bool = True) -> list[dict[str, Any]]:
    """The list of objects under a key; CollectError where it is something else, or lacking though it ``must`` be there.

    botocore makes an empty object of JSON that was cut off, or of a proxy's page: that must not count as none.
    """
    found = page.get(key, None if must else [])
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise CollectError(f"{key} must be a list of objects", reason=MALFORMED, retryable=True)
    return found


def _mapping(answer: Any, service: str, operation: str) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise CollectError(f"{operation} must answer an object", service=service, reason=MALFORMED, retryable=True)
    return answer


def _method(operation: str) -> str:
    from botocore import xform_name

    name: Callable[[str], str] = xform_name
    return name(operation)
