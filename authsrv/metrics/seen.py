"""What the access log and the audit trail tell of, counted: requests, tokens, logins, refusals by rate limits.

Owns which fact of an event becomes a label, and that no other does. Knows no endpoint and no storage.
"""

from collections.abc import Collection, Sequence
from typing import Final, get_args

from authsrv.audit import AuditKind
from authsrv.limits import Rule
from authsrv.log import Emit, Event
from authsrv.metrics.figures import OTHER, Counts, Spreads

SUCCESS: Final = "success"
"""The outcome of what was not refused."""
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
_RULES: Final = frozenset(rule.value for rule in Rule)
_LOGINS: Final = frozenset({"login.succeeded", "login.refused", "credential.replayed"})


class Seen:
    """Counts by the events that pass. `platforms` are the names of those that players may come from."""

    def __init__(self, platforms: Sequence[str], grants: Sequence[str]) -> None:
        self._endpoints: Collection[str] = frozenset()
        self._platforms = frozenset(platforms)
        self.requests = Counts()
        """By endpoint, method, class of the status."""
        self.request_seconds = Spreads()
        """By endpoint."""
        self.tokens = Counts([(grant, SUCCESS) for grant in grants])
        """By grant type and outcome."""
        self.silent = Counts([(platform, SUCCESS) for platform in platforms])
        """Silent logins by platform and outcome."""
        self.logins = Counts([(platform, SUCCESS) for platform in platforms])
        """Proofs of platforms through every door, by platform and outcome."""
        self.events = Counts([(kind,) for kind in get_args(AuditKind)])
        """Audit events by kind."""
        self.limited = Counts([(rule.value,) for rule in Rule])
        """Requests refused by a rate limit, by its rule."""
        self.refused = Counts([(status,) for status in ("400", "408", "414", "431")])
        """Requests that were refused before they were read as such, by status."""

    def know(self, endpoints: Collection[str]) -> None:
        """The templates of the addresses that are served. Every other address is counted as one."""
        self._endpoints = frozenset(endpoints)

    def passing(self, emit: Emit) -> Emit:
        """An `emit` that counts each event and hands it on."""

        def counting(event: Event) -> None:
            self.note(event)
            emit(event)

        return counting

    def refuse(self, status: int) -> None:
        """Count a request that no application saw."""
        self.refused.add(str(status))

    def note(self, event: Event) -> None:
        """Count one event; whatever it is, it costs no request its answer."""
        logger = event.get("logger")
        if logger == "authsrv.access":
            self._note_request(event)
        elif logger == "authsrv.audit":
            self._note_audit(event)

    def _note_request(self, event: Event) -> None:
        path, method, error = event["path"], event["method"], event.get("error", "")
        endpoint = path if path in self._endpoints else OTHER
        self.requests.add(endpoint, method if method in _METHODS else OTHER, f"{event['status'] // 100}xx")
        self.request_seconds.observe(event["duration_ms"] / 1000, endpoint)
        if "grant" in event:
            self.tokens.add(event["grant"], error or SUCCESS)
        if "provider" in event:
            self.silent.add(self._platform(event["provider"]), error or SUCCESS)
        if error == "rate_limited" and event.get("detail") in _RULES:
            self.limited.add(event["detail"])

    def _note_audit(self, event: Event) -> None:
        kind = event["event"]
        self.events.add(kind)
        if kind in _LOGINS:
            outcome = SUCCESS if kind == "login.succeeded" else event.get("reason", OTHER)
            self.logins.add(self._platform(event.get("platform", "")), outcome)

    def _platform(self, name: str) -> str:
        return name if name in self._platforms else OTHER
