"""What must hold in the file outside platforms and clients: issuer, environment, database, keys, projects and ids.

A table of checks; each names the blocks it reads. Knows no line numbers.
"""

import os
import re
import uuid
from collections.abc import Callable, Iterator, Sequence

from authsrv.config.client_checks import MIN_SECRET, RUNTIME_PREFIX, audience_finding, is_audience
from authsrv.config.clients import ClientSettings
from authsrv.config.problems import Finding, Path
from authsrv.config.schema import Config, ProjectSettings, default_project_id
from authsrv.config.web_addresses import HOST, is_loopback
from authsrv.database_url import crosses_network, names_postgres, tls_mode

FileCheck = Callable[[Config, bool], Iterator[Finding]]
"""Takes the file and whether it is for development; finds what is wrong."""

INSECURE_TRANSPORT = "AUTHLIB_INSECURE_TRANSPORT"
"""With it the OAuth library takes requests that came over plain http."""
SHORT_SIGN_IN = 300
"""Seconds below which a sign-in is likely to end before its player is done."""

_PROVE_SERVER = "add ?sslmode=verify-full&sslrootcert=/path/to/ca.pem, which proves whose server it is"

_ISSUER = re.compile(rf"(?P<scheme>https?)://(?P<host>{HOST})(?::(?P<port>[1-9][0-9]{{0,4}}))?(?:/[A-Za-z0-9._~-]+)*")
_PROJECT_KEY = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")


def _issuer(config: Config, dev: bool) -> Iterator[Finding]:
    fault = _issuer_fault(config.issuer, dev=dev)
    if fault:
        yield Finding(("issuer",), fault[0], fault[1])


def _issuer_fault(issuer: str, *, dev: bool) -> tuple[str, str] | None:
    shape = next((fault for marks, *fault in _ISSUER_SHAPE if any(mark in issuer for mark in marks)), None)
    if shape:
        return shape[0], shape[1]
    if issuer.endswith("/"):
        return "the issuer ends with a slash", "remove it; tokens carry the issuer character by character"
    found = _ISSUER.fullmatch(issuer)
    if not found or int(found["port"] or 1) > 65535:
        return "the issuer is not an address", "write https://login.studio.example, in lower case"
    if (found["scheme"], found["port"]) in {("https", "443"), ("http", "80")}:
        return "the issuer names the default port", "leave the port out"
    return _issuer_place_fault(found["scheme"], found["host"], dev=dev)


def _issuer_place_fault(scheme: str, host: str, *, dev: bool) -> tuple[str, str] | None:
    here = is_loopback(host)
    if scheme == "http" and not (dev and here):
        return "the issuer is on plain http", "use https; http works on 127.0.0.1 with dev = true only"
    if here and not dev:
        return "the issuer is this machine, which no player can reach", "write the public address, or set dev = true"
    return None


_ISSUER_SHAPE = (
    ("@", "the issuer has a user name before its host", "remove it, and the @"),
    ("?", "the issuer has a query", "remove the ? and what follows it"),
    ("#", "the issuer has a fragment", "remove the # and what follows it"),
)


def _environment(_config: Config, dev: bool) -> Iterator[Finding]:
    if os.environ.get(INSECURE_TRANSPORT) and not dev:
        yield Finding(
            (INSECURE_TRANSPORT,), "this environment variable switches a protection off", "unset it, or set dev = true"
        )


def _metrics(config: Config, _dev: bool) -> Iterator[Finding]:
    if config.metrics.enabled and config.metrics.port and config.metrics.port == config.server.port:
        yield Finding(
            ("metrics", "port"), "this is the port of the server, where everybody could read them", "name another port"
        )


def _proxies(config: Config, _dev: bool) -> Iterator[Finding]:
    for place, network in enumerate(config.server.trusted_proxies):
        if network.prefixlen == 0:
            yield Finding(
                ("server", "trusted_proxies", place),
                "this trusts every sender of a Forwarded header, so that anybody can choose an address",
                "name the network your proxies are in",
            )


def _database(config: Config, _dev: bool) -> Iterator[Finding]:
    url = config.database.url.get_secret_value()
    if config.database.sqlite_path is None and not names_postgres(url):
        yield Finding(
            ("database", "url"),
            "this is no address of a database that authsrv knows",
            "write sqlite:///var/authsrv.db or postgresql://user@host/name",
        )


def _database_over_network(config: Config, dev: bool) -> Iterator[Finding]:
    url = config.database.url.get_secret_value()
    if names_postgres(url) and not dev and crosses_network(url) and not tls_mode(url):
        yield Finding(
            ("database", "url"), "the URL does not say how the connection over the network is secured", _PROVE_SERVER
        )


def _weakly_secured_database(config: Config) -> Iterator[Finding]:
    url = config.database.url.get_secret_value()
    if names_postgres(url) and crosses_network(url) and tls_mode(url) not in {"", "verify-full"}:
        yield Finding(
            ("database", "url"),
            "somebody on the way could pass for this server, and would see and change everything",
            _PROVE_SERVER,
        )


def _passphrase(config: Config, dev: bool) -> Iterator[Finding]:
    passphrase = config.keys.passphrase
    if passphrase and not dev and len(passphrase.get_secret_value()) < MIN_SECRET:
        yield Finding(
            ("keys", "passphrase"),
            f"the passphrase has fewer than {MIN_SECRET} characters",
            "make one with: openssl rand -hex 32",
        )


def _algorithms(config: Config, _dev: bool) -> Iterator[Finding]:
    listed = config.keys.algorithms
    if "RS256" not in listed:
        yield Finding(
            ("keys", "algorithms"),
            "RS256 is missing, which every OpenID provider must have, and by which id_tokens are signed by default",
            "add it to the list",
        )
    for place, alg in enumerate(listed):
        if alg in listed[:place]:
            yield Finding(("keys", "algorithms", place), f"{alg} stands here twice", "remove one")


def _key_times(config: Config, _dev: bool) -> Iterator[Finding]:
    if config.keys.announcement >= config.keys.rotation_period:
        yield Finding(
            ("keys", "announcement"),
            "announcement is not shorter than rotation_period, so that a key would never be alone",
            "shorten it, or lengthen rotation_period",
        )


def _client_algorithms(config: Config, _dev: bool) -> Iterator[Finding]:
    for key, project in config.projects.items():
        for client_id, client in project.clients.items():
            for name in ("access_token_alg", "id_token_alg", "userinfo_alg"):
                alg = getattr(client, name)
                if alg not in {None, "RS256", *config.keys.algorithms}:
                    yield Finding(
                        ("projects", key, "clients", client_id, name),
                        f"there are no keys for {alg}",
                        f"write {_choice(config.keys.algorithms)}, or add {alg} to keys.algorithms",
                    )


def _choice(words: Sequence[str]) -> str:
    return " or ".join((", ".join(words[:-1]), words[-1])) if len(words) > 1 else "".join(words)


def _token_lifetimes(config: Config, _dev: bool) -> Iterator[Finding]:
    if config.tokens.refresh_idle > config.tokens.refresh_absolute:
        yield Finding(
            ("tokens", "refresh_idle"),
            "refresh_idle is longer than refresh_absolute, which ends it anyway",
            "shorten it, or lengthen refresh_absolute",
        )


def _session_lifetimes(config: Config, _dev: bool) -> Iterator[Finding]:
    if config.sessions.idle > config.sessions.absolute:
        yield Finding(
            ("sessions", "idle"),
            "idle is longer than absolute, which ends the session anyway",
            "shorten it, or lengthen absolute",
        )


def _any_project(config: Config, _dev: bool) -> Iterator[Finding]:
    if not config.projects:
        yield Finding(("projects",), "there is no project", "add [projects.NAME] with its platforms and clients")


def _projects(config: Config, _dev: bool) -> Iterator[Finding]:
    for key, project in config.projects.items():
        if not _PROJECT_KEY.fullmatch(key):
            yield Finding(
                ("projects", key),
                "a project's key has up to 64 lower-case letters and digits, with - and _ between them",
                "choose another; its name may be any text",
            )
        if project.id and not _is_uuid(project.id):
            yield Finding(("projects", key, "id"), "the id is not a UUID", "leave it out, or make one with: uuidgen")
        for place, audience in enumerate(project.default_audience):
            if not is_audience(audience):
                yield audience_finding(("projects", key, "default_audience", place))


def _names(config: Config, _dev: bool) -> Iterator[Finding]:
    for path, settings, stand_in in _named(config):
        if "name" in settings.model_fields_set and not settings.name.strip():
            yield Finding(
                (*path, "name"),
                "the name is empty, and players read it on pages",
                f"write the name that they know, or leave it out: then it is {stand_in}",
            )


def _named(config: Config) -> Iterator[tuple[Path, ProjectSettings | ClientSettings, str]]:
    for key, project in config.projects.items():
        yield ("projects", key), project, key
    for path, client in _clients(config):
        yield path, client, str(path[-1])


def _same_client_ids(config: Config, _dev: bool) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for key, project in config.projects.items():
        for client_id in project.clients:
            if client_id in seen:
                yield Finding(
                    ("projects", key, "clients", client_id),
                    f"project {seen[client_id]} has a client of this id already, and ids are unique on the server",
                    "rename one of them",
                )
            seen.setdefault(client_id, key)


def _id_token_audiences(config: Config, _dev: bool) -> Iterator[Finding]:
    """An id_token made for one of our clients would be a login there, and one for the issuer looks like a token of
    ours for nobody in particular.
    """
    ours = {config.issuer}.union(*(project.clients for project in config.projects.values()))
    for path, settings in _clients(config):
        for place, audience in enumerate(settings.id_token_audiences):
            if audience in ours:
                yield Finding(
                    (*path, "id_token_audiences", place),
                    "this is a client's id, or the issuer",
                    "name a service outside this server; a client gets id_tokens for itself with scope openid",
                )


def _exchange_from(config: Config, _dev: bool) -> Iterator[Finding]:
    """Of a client that registers itself later there is no entry, so that its id is taken as it stands."""
    for (_, project, *rest), settings in _clients(config):
        others = config.projects[str(project)].clients
        for place, name in enumerate(settings.exchange_from):
            path = ("projects", project, *rest, "exchange_from", place)
            if name not in others and not name.startswith(RUNTIME_PREFIX):
                yield Finding(path, "the project has no client of this id", "write the id of one that it has")
            elif name in others and others[name].compat == "xsolla":
                yield Finding(path, "access tokens in the Xsolla profile are not exchanged", "remove it")


def _clients(config: Config) -> Iterator[tuple[Path, ClientSettings]]:
    for key, project in config.projects.items():
        for client_id, settings in project.clients.items():
            yield ("projects", key, "clients", client_id), settings


def _same_project_ids(config: Config, _dev: bool) -> Iterator[Finding]:
    ids: dict[str, str] = {}
    for key, project in config.projects.items():
        project_id = project.id.lower() or default_project_id(config.issuer, key)
        if project_id in ids:
            yield Finding(
                ("projects", key, "id"), f"project {ids[project_id]} has this id already", "change one of them"
            )
        ids.setdefault(project_id, key)


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


FILE_CHECKS: tuple[tuple[tuple[Path, ...], FileCheck], ...] = (
    ((("issuer",), ("dev",)), _issuer),
    ((("dev",),), _environment),
    ((("server", "trusted_proxies"),), _proxies),
    ((("server", "port"), ("metrics",)), _metrics),
    ((("database",),), _database),
    ((("database",),), _database_over_network),
    ((("keys", "passphrase"),), _passphrase),
    ((("keys", "algorithms"),), _algorithms),
    ((("keys", "algorithms"),), _client_algorithms),
    ((("keys", "announcement"), ("keys", "rotation_period")), _key_times),
    ((("tokens", "refresh_idle"), ("tokens", "refresh_absolute")), _token_lifetimes),
    ((("sessions", "idle"), ("sessions", "absolute")), _session_lifetimes),
    ((("projects",),), _any_project),
    ((), _projects),
    ((), _names),
    ((), _same_client_ids),
    ((("issuer",),), _id_token_audiences),
    ((), _exchange_from),
    ((("issuer",),), _same_project_ids),
)
"""The settings a check reads, and the check: one whose settings could not be read is left out."""


def file_warnings(config: Config) -> Iterator[Finding]:
    """What is allowed but risky, or unlikely to be meant."""
    if config.dev:
        yield Finding(
            ("dev",),
            "DEVELOPMENT MODE: secrets in the file, plain http and emulated platforms are accepted",
            "remove dev = true wherever real players log in",
        )
    yield from _weakly_secured_database(config)
    if names_postgres(config.database.url.get_secret_value()) and not config.database.erasures:
        yield Finding(
            ("database", "erasures"),
            "a restored backup brings erased players back, for nothing outside of the database knows of them",
            'write erasures = "/var/lib/authsrv/erasures", a directory that outlives the node',
        )
    if config.sessions.sign_in < SHORT_SIGN_IN:
        yield Finding(
            ("sessions", "sign_in"),
            "players who must first find a password, or a code on their telephone, have to begin anew",
            f"write {SHORT_SIGN_IN} or more",
        )
    for key, project in config.projects.items():
        if not project.platforms:
            yield Finding(
                ("projects", key, "platforms"),
                "the project has no platform, so nobody can log in to it",
                f"add [projects.{key}.platforms.steam] or another",
            )
