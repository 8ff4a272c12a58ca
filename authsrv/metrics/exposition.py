"""The figures as Prometheus reads them. The only module that imports prometheus_client; see `docs/metrics.md`.

Owns names, labels and units. Counts nothing itself.
"""

import asyncio
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from math import inf

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from authsrv.metrics.figures import Counts, Labels, Spread
from authsrv.metrics.sources import Sources
from authsrv.oauth.key_schedule import KeyState, next_changes, states
from authsrv.outbound.breaker import BreakerState
from authsrv.serving.readiness import ReadinessReport, State

_STATES: tuple[State, ...] = ("starting", "ready", "draining", "failing")
_KEY_STATES: tuple[KeyState, ...] = ("next", "active", "retiring", "retired", "revoked")
_CIRCUITS: tuple[BreakerState, ...] = ("closed", "half_open", "open")

Families = Iterator[Metric]


class Exposition:
    """Renders the figures for whoever asks."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def render(self, accept: str) -> tuple[bytes, str]:
        """The body and its media type: OpenMetrics for those who accept it, else Prometheus's own text.

        The loop is held for none of it: rendering takes milliseconds, so it is done in a thread.
        """
        report = await self._sources.readiness.report()
        encode, media_type = _encoder(accept)
        return await asyncio.to_thread(encode, self._registry(report)), media_type

    def _registry(self, report: ReadinessReport) -> CollectorRegistry:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Figures(self._sources, report))
        ProcessCollector(registry=registry)
        return registry


def _encoder(accept: str) -> tuple[Callable[[CollectorRegistry], bytes], str]:
    """The library's own choice falls over versions that are no numbers."""
    accepted = {one.partition(";")[0].strip().lower() for one in accept.split(",")}
    if "application/openmetrics-text" in accepted:
        return openmetrics.generate_latest, openmetrics.CONTENT_TYPE_LATEST
    return generate_latest, CONTENT_TYPE_PLAIN_0_0_4


class _Figures(Collector):
    def __init__(self, sources: Sources, report: ReadinessReport) -> None:
        self._sources = sources
        self._report = report

    def collect(self) -> Iterable[Metric]:
        for family in _FAMILIES:
            yield from family(self._sources)
        yield from _readiness(self._sources, self._report)

    def describe(self) -> Iterable[Metric]:
        """Nothing: one registry holds only this."""
        return ()


def _build(sources: Sources) -> Families:
    told = {"version": sources.version, "python": platform.python_version()}
    yield _info("authsrv_build", "The versions that run.", told | dict(_storage_versions(sources)))
    yield _gauge("authsrv_config_loaded_timestamp_seconds", "When the configuration was taken.", sources.loaded_at())


def _storage_versions(sources: Sources) -> Iterator[tuple[str, str]]:
    versions = sources.storage().versions
    yield from ((library, versions.get(library, "")) for library in ("sqlite", "libpq"))


def _requests(sources: Sources) -> Families:
    seen = sources.seen
    yield _counter(
        "authsrv_http_requests",
        "Requests by endpoint and class of status.",
        ("endpoint", "method", "code"),
        seen.requests,
    )
    refused = "Requests refused before they were read: malformed, too large, too slow."
    yield _counter("authsrv_http_refused_requests", refused, ("status",), seen.refused)
    yield _histogram(
        "authsrv_http_request_duration_seconds",
        "How long requests took, waiting for platforms included.",
        ("endpoint",),
        seen.request_seconds.items(),
    )


def _logins(sources: Sources) -> Families:
    seen = sources.seen
    yield _counter("authsrv_token_requests", "Token requests.", ("grant_type", "outcome"), seen.tokens)
    yield _counter("authsrv_silent_logins", "Silent logins.", ("platform", "outcome"), seen.silent)
    yield _counter("authsrv_logins", "Proofs of platforms, through every door.", ("platform", "outcome"), seen.logins)
    yield _counter("authsrv_audit_events", "Events of the audit trail.", ("event",), seen.events)
    yield _counter("authsrv_rate_limited_requests", "Requests refused by a rate limit.", ("rule",), seen.limited)
    told = "1 while other nodes cannot be told what is counted for the rate limits."
    yield _gauge("authsrv_rate_limits_alone", told, sources.counts_alone())


def _calls(sources: Sources) -> Families:
    labels: Labels = ("platform", "host")
    outcomes = CounterMetricFamily("authsrv_platform_calls", "Calls to platforms.", labels=(*labels, "outcome"))
    seconds = HistogramMetricFamily(
        "authsrv_platform_call_duration_seconds",
        "How long calls to platforms took, second tries included.",
        labels=labels,
    )
    for figures in sources.calls:
        for named, count in figures.outcomes.items():
            outcomes.add_metric(named, count)
        for named, spread in figures.seconds.items():
            seconds.add_metric(named, _buckets(spread), spread.total)
    yield from (outcomes, seconds)


def _hosts(sources: Sources) -> Families:
    labels = ("platform", "host")
    circuit = GaugeMetricFamily(
        "authsrv_platform_circuit_state", "1 for the state of the circuit that is worst off.", labels=(*labels, "state")
    )
    in_flight = GaugeMetricFamily("authsrv_platform_calls_in_flight", "Calls under way.", labels=labels)
    places = GaugeMetricFamily("authsrv_platform_call_places", "How many calls may be under way.", labels=labels)
    worst: dict[tuple[str, str], BreakerState] = {}
    taken, most = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for name, one in sources.hosts():
        key = (name, one.host)
        worst[key] = max(worst.get(key, "closed"), one.circuit, key=_CIRCUITS.index)
        taken[key] += one.in_flight
        most[key] += one.places
    for key, state in worst.items():
        for each in _CIRCUITS:
            circuit.add_metric((*key, each), each == state)
        in_flight.add_metric(key, taken[key])
        places.add_metric(key, most[key])
    yield from (circuit, in_flight, places)


def _storage(sources: Sources) -> Families:
    vitals = sources.storage()
    units = CounterMetricFamily(
        "authsrv_storage_operations", "What callers asked of the database.", labels=("kind", "outcome")
    )
    for kind, traffic in vitals.traffic.items():
        units.add_metric((kind, "done"), traffic.done)
        units.add_metric((kind, "conflict"), traffic.conflicts)
        units.add_metric((kind, "unavailable"), traffic.unavailable)
    yield units
    repeated = CounterMetricFamily(
        "authsrv_storage_repeated_attempts", "Transactions that ran again.", labels=("kind",)
    )
    for kind, traffic in vitals.traffic.items():
        repeated.add_metric((kind,), traffic.repeated)
    yield repeated
    yield _histogram(
        "authsrv_storage_transaction_duration_seconds",
        "How long transactions took, without the wait for a turn.",
        ("kind",),
        [((kind,), traffic.seconds) for kind, traffic in vitals.traffic.items()],
    )
    yield _histogram(
        "authsrv_storage_transaction_callers",
        "How many callers shared a transaction.",
        ("kind",),
        [((kind,), traffic.group_sizes) for kind, traffic in vitals.traffic.items()],
    )
    queued = GaugeMetricFamily("authsrv_storage_queued_operations", "Callers who wait for a turn.", labels=("kind",))
    for kind, waiting in vitals.queued.items():
        queued.add_metric((kind,), waiting)
    yield queued
    yield _info("authsrv_storage", "The kind of database, and its schema.", _schema(sources))
    yield _counter_of("authsrv_swept_rows", "Expired rows that this node removed.", sources.swept())


def _schema(sources: Sources) -> dict[str, str]:
    vitals = sources.storage()
    return {"backend": vitals.backend, "schema_revision": vitals.revision}


def _storage_of_one_backend(sources: Sources) -> Families:
    vitals = sources.storage()
    if vitals.wal_bytes is not None:
        yield _gauge("authsrv_storage_wal_bytes", "Size of SQLite's write-ahead log.", vitals.wal_bytes)
    if vitals.pool is not None:
        yield _gauge("authsrv_storage_pool_connections", "Connections to PostgreSQL.", vitals.pool.size)
        yield _gauge("authsrv_storage_pool_connections_max", "How many there may be.", vitals.pool.most)
        yield _gauge("authsrv_storage_pool_connections_in_use", "How many are in use.", vitals.pool.in_use)
        yield _gauge("authsrv_storage_pool_waiting", "Callers who wait for a connection.", vitals.pool.waiting)


def _keys(sources: Sources) -> Families:
    stored, now = sources.keys(), int(sources.clock())
    found, algorithm = states(stored, now), {key.kid: key.alg for key in stored}
    counted = Counter((algorithm[kid], state) for kid, state in found.items())
    keys = GaugeMetricFamily("authsrv_signing_keys", "Signing keys by their state.", labels=("alg", "state"))
    for alg in sorted({algorithm[kid] for kid in found}):
        for state in _KEY_STATES:
            keys.add_metric((alg, state), counted[alg, state])
    due = GaugeMetricFamily(
        "authsrv_signing_key_rotation_seconds", "Seconds until another key signs; below 0 overdue.", labels=("alg",)
    )
    for alg, at in next_changes(stored, sources.key_rules, now).items():
        due.add_metric((alg,), at - now)
    yield from (keys, due)


def _node(sources: Sources) -> Families:
    vitals = sources.node()
    if vitals is None:
        return
    held = GaugeMetricFamily("authsrv_lease_held", "1 on the node that holds the lease.", labels=("lease",))
    for lease, is_held in vitals.leases.items():
        held.add_metric((lease,), is_held)
    yield held
    ahead = "By how much this node's clock is ahead of the database's."
    yield _gauge("authsrv_clock_offset_seconds", ahead, vitals.seconds_off)


def _process(sources: Sources) -> Families:
    yield _counter_of(
        "authsrv_log_lines_dropped", "Log lines lost because the sink did not keep up.", sources.dropped()
    )
    yield _histogram("authsrv_event_loop_lag_seconds", "How late the event loop was.", (), [((), sources.lag)])


def _readiness(_: Sources, report: ReadinessReport) -> Families:
    state = GaugeMetricFamily("authsrv_state", "1 for the state of the process.", labels=("state",))
    for each in _STATES:
        state.add_metric((each,), each == report.state)
    up = GaugeMetricFamily("authsrv_part_up", "0 for a part that fails or is degraded.", labels=("part",))
    for part, outcome in report.parts.items():
        up.add_metric((part,), outcome == "ok")
    yield from (state, up)


_FAMILIES: tuple[Callable[[Sources], Families], ...] = (
    _build,
    _requests,
    _logins,
    _calls,
    _hosts,
    _storage,
    _storage_of_one_backend,
    _keys,
    _node,
    _process,
)


def _counter(name: str, text: str, labels: Labels, counts: Counts) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for named, count in counts.items():
        family.add_metric(named, count)
    return family


def _counter_of(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _info(name: str, text: str, told: dict[str, str]) -> Metric:
    """As a gauge that is 1: Prometheus's own text has no infos."""
    family = GaugeMetricFamily(f"{name}_info", text, labels=tuple(told))
    family.add_metric(tuple(told.values()), 1)
    return family


def _histogram(name: str, text: str, labels: Labels, spreads: Iterable[tuple[Labels, Spread]]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=labels)
    for named, spread in spreads:
        family.add_metric(named, _buckets(spread), spread.total)
    return family


def _buckets(spread: Spread) -> list[tuple[str, float]]:
    return [("+Inf" if bound == inf else str(bound), count) for bound, count in spread.cumulated()]
