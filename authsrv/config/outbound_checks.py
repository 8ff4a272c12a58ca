"""What must hold for the addresses that the server itself calls because a client named them.

Owns the `[outbound]` block and what depends on it. What can be called at all is the outbound guard's to say.
"""

import ssl
from collections.abc import Iterator

from authsrv.config.file_checks import FileCheck
from authsrv.config.problems import Finding, Path
from authsrv.config.schema import Config
from authsrv.config.web_addresses import origin_of
from authsrv.outbound.guarded_urls import check_allowed, problem_with


def _allow(config: Config, _dev: bool) -> Iterator[Finding]:
    allow = config.outbound.allow
    for place, entry in enumerate(allow):
        if not _is_host_and_port(entry):
            yield Finding(
                ("outbound", "allow", place),
                "this is not a host with a port",
                'write "host:port", the host in lower case, an IPv6 address in brackets',
            )
        elif entry in allow[:place]:
            yield Finding(("outbound", "allow", place), "the address stands here twice", "remove one")


def _is_host_and_port(entry: str) -> bool:
    try:
        check_allowed([entry])
    except ValueError:
        return False
    return True


def _extra_ca(config: Config, _dev: bool) -> Iterator[Finding]:
    problem = certificates_problem(config.outbound.extra_ca) if config.outbound.extra_ca else None
    if problem:
        yield problem.below(("outbound", "extra_ca"))


def certificates_problem(path: str) -> Finding | None:
    """Why a PEM file is of no use as the list of those who are trusted, with an empty path, or None."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError:
        found = 0
    except (OSError, ValueError):
        return Finding((), "the file cannot be read", "create it, or name another one")
    else:
        found = context.cert_store_stats()["x509"]
    if not found:
        return Finding((), "the file holds no certificate", "write the authority's certificate into it, in PEM")
    return None


def _backchannel_logout_uris(config: Config, dev: bool) -> Iterator[Finding]:
    for key, project in config.projects.items():
        for client_id, client in project.clients.items():
            path: Path = ("projects", key, "clients", client_id, "backchannel_logout_uri")
            url = client.backchannel_logout_uri
            problem = call_problem(url, config.outbound.allow, dev=dev) if url else None
            if problem:
                yield problem.below(path)


def call_problem(url: str, allow: tuple[str, ...], *, dev: bool) -> Finding | None:
    """Why the server could not call this address, with an empty path, or None. `allow` is that of `[outbound]`."""
    can_be_listed = _can_be_listed(url)
    if can_be_listed and url.startswith("http:") and not dev:
        return Finding(
            (), "plain http can be read and changed on its way", "use https; http works with dev = true only"
        )
    text = problem_with(url, allow=allow)
    if not text:
        return None
    what, _, remedy = text.partition("; ")
    if can_be_listed:
        remedy += ', or, inside your own network, name its "host:port" in outbound.allow'
    return Finding((), what, remedy)


def _can_be_listed(url: str) -> bool:
    """Whether nothing can be wrong with the URL but that the configuration does not name it as an exception."""
    origin = origin_of(url)
    return origin is not None and not problem_with(url, allow=[f"{origin.host}:{origin.port}"])


OUTBOUND_CHECKS: tuple[tuple[tuple[Path, ...], FileCheck], ...] = (
    ((("outbound", "allow"),), _allow),
    ((("outbound", "extra_ca"),), _extra_ca),
    ((("outbound", "allow"), ("dev",)), _backchannel_logout_uris),
)
"""The settings a check reads, and the check: one whose settings could not be read is left out."""
