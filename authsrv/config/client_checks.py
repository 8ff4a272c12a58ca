"""What must hold between the settings of one client, as a table of checks.

Owns the rules for ids, types, redirect URIs, scopes and the Xsolla profile. Knows no other client and no file.
"""

import re
from collections.abc import Callable, Iterator

from authsrv.config.clients import ClientSettings, TokenSettings
from authsrv.config.problems import Finding, Path
from authsrv.models import ACCOUNT_PREFIX, TOKEN_EXCHANGE
from authsrv.records import dataclass
from authsrv.redirects import registration_problem

RUNTIME_PREFIX = "c_"
MIN_SECRET = 32
MAX_SECRET = 512
SECRET_SETTINGS = ("secret", "secrets", "secret_hashes")
"""Each of them can make a client confidential."""
_STANDARD_CLAIMS = frozenset(
    {"acr", "amr", "at_hash", "aud", "auth_time", "azp", "c_hash", "cnf", "exp", "iat", "iss", "jti", "nbf", "nonce"}
)
_TOKEN_CLAIMS = frozenset({"client_id", "gid", "idp", "idp_sub", "scope", "scp", "sid", "sub", "token_use", "typ"})
_EXCHANGE_CLAIMS = frozenset({"act", "may_act", "origin_client_id", "origin_jti"})
RESERVED_CLAIMS = _STANDARD_CLAIMS | _TOKEN_CLAIMS | _EXCHANGE_CLAIMS
"""Claims that only the server sets: a scope of such a name could be taken for one."""

_CLIENT_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_XSOLLA_ID = re.compile(r"[1-9][0-9]{0,9}")
_MAX_XSOLLA_ID = 2**31 - 1
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}")  # RFC 6749 section 3.3
_AUDIENCE = re.compile(r"[!-~]{1,255}")
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<host>[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?")
_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "[::1]", "localhost"})
_PORTLESS_LOOPBACK = re.compile(r"http://(?:127\.0\.0\.1|\[::1\])(?:[/?].*)?")


@dataclass(frozen=True, slots=True)
class ClientEntry:
    """A client with what its rules depend on from elsewhere in the file."""

    client_id: str
    settings: ClientSettings
    tokens: TokenSettings
    dev: bool


Check = Callable[[ClientEntry], Iterator[Finding]]


def _id(entry: ClientEntry) -> Iterator[Finding]:
    if not _CLIENT_ID.fullmatch(entry.client_id):
        yield Finding(
            (),
            "the client id is longer than 64 characters or has characters that need escaping somewhere",
            "use letters, digits, and . _ - between them",
        )
    elif _UUID.fullmatch(entry.client_id):
        yield Finding((), "the client id looks like a player's id, a UUID", "choose a name: launcher, shop, backend")
    elif entry.client_id.startswith(RUNTIME_PREFIX):
        yield Finding((), "ids that begin with c_ are for clients registered at run time", "choose another name")
    elif entry.client_id.startswith(ACCOUNT_PREFIX):
        yield Finding((), "ids that begin with account. are for the account pages", "choose another name")


def _xsolla_id(entry: ClientEntry) -> Iterator[Finding]:
    if entry.settings.compat != "xsolla":
        return
    if not _XSOLLA_ID.fullmatch(entry.client_id) or int(entry.client_id) > _MAX_XSOLLA_ID:
        yield Finding(
            (),
            "the Xsolla SDKs keep the client id in a 32-bit integer, and this id is none",
            f"name the table with digits only, from 1 to {_MAX_XSOLLA_ID}: clients.40",
        )


def _type(entry: ClientEntry) -> Iterator[Finding]:
    settings = entry.settings
    if settings.type == "public" and settings.all_secrets:
        yield Finding(("type",), "a public client has no secret", "remove the secret, or write confidential")
    if settings.type in {"confidential", "server"} and not settings.all_secrets:
        yield Finding(
            ("type",),
            f"a {settings.type} client needs a secret",
            f'add secret = {{ env = "NAME" }}, or make one with: authsrv clients secret new {entry.client_id}',
        )


def _grants(entry: ClientEntry) -> Iterator[Finding]:
    settings = entry.settings
    grants = settings.effective_grants
    if not grants:
        yield Finding(("grants",), "the list of grants is empty", "leave it out for the default")
    if "client_credentials" in grants and settings.effective_type == "public":
        yield Finding(("grants",), "client_credentials needs a secret, and this client has none", "give it a secret")
    if "refresh_token" in grants and not {"authorization_code", TOKEN_EXCHANGE} & set(grants):
        yield Finding(("grants",), "refresh_token is of no use without authorization_code", "add it, or remove both")
    if settings.type == "server" and set(grants) - {"client_credentials", "refresh_token", TOKEN_EXCHANGE}:
        yield Finding(("grants",), "a server client has no players", "leave grants out, or the type")


def _redirect_uris(entry: ClientEntry) -> Iterator[Finding]:
    yield from redirect_problems("redirect_uris", entry.settings.redirect_uris, entry.settings)


def _redirects_fit_grants(entry: ClientEntry) -> Iterator[Finding]:
    settings = entry.settings
    with_codes = "authorization_code" in settings.effective_grants
    if with_codes and not settings.redirect_uris:
        yield Finding(
            ("redirect_uris",),
            "a client that redeems codes needs at least one redirect URI",
            'add redirect_uris = ["https://..."], or write type = "server" for one without players',
        )
    if not with_codes and settings.redirect_uris:
        yield Finding(("redirect_uris",), "this client never gets a code, so nobody is sent back to it", "remove them")


def _error_redirect_uri(entry: ClientEntry) -> Iterator[Finding]:
    settings = entry.settings
    if not settings.error_redirect_uri:
        return
    refusal = registration_problem(
        settings.error_redirect_uri, native=settings.native, xsolla=settings.compat == "xsolla"
    )
    if refusal:
        yield Finding(("error_redirect_uri",), refusal.what, refusal.remedy)


def _scopes(entry: ClientEntry) -> Iterator[Finding]:
    for place, scope in enumerate(entry.settings.scopes):
        yield from scope_problems(("scopes", place), scope)


def _extra_scopes(entry: ClientEntry) -> Iterator[Finding]:
    for place, scope in enumerate(entry.settings.extra_scopes or ()):
        yield from scope_problems(("extra_scopes", place), scope)


def _any_scope(entry: ClientEntry) -> Iterator[Finding]:
    if entry.settings.extra_scopes is None and entry.settings.compat != "xsolla":
        yield Finding(("extra_scopes",), 'only clients with compat = "xsolla" may ask for any scope', "list the scopes")


def _audiences(entry: ClientEntry) -> Iterator[Finding]:
    for place, audience in enumerate(entry.settings.audiences):
        if not is_audience(audience):
            yield audience_finding(("audiences", place))


def _id_token_exchange(entry: ClientEntry) -> Iterator[Finding]:
    settings = entry.settings
    if not settings.id_token_audiences:
        return
    if settings.compat == "xsolla":
        yield Finding(("id_token_audiences",), "clients of the Xsolla profile get no id_tokens", "leave it out")
    elif TOKEN_EXCHANGE not in settings.effective_grants:
        yield Finding(
            ("id_token_audiences",),
            "the client exchanges no tokens, and there is no other way to these id_tokens",
            f'add "{TOKEN_EXCHANGE}" to its grants',
        )


def _id_token_audiences(entry: ClientEntry) -> Iterator[Finding]:
    for place, audience in enumerate(entry.settings.id_token_audiences):
        if not is_audience(audience):
            yield audience_finding(("id_token_audiences", place))
        elif audience.startswith(RUNTIME_PREFIX):
            # Whoever gets an id_token made for a client can sign in there as its player.
            yield Finding(
                ("id_token_audiences", place),
                "a client that registered itself could have this id, and the token would be a login there",
                "name a service outside this server",
            )


def _pkce(entry: ClientEntry) -> Iterator[Finding]:
    settings = entry.settings
    if settings.pkce == "optional" and settings.effective_type == "public" and settings.compat != "xsolla":
        yield Finding(
            ("pkce",),
            "without PKCE anybody who sees a public client's code can redeem it",
            "leave pkce out; only a client with a secret may do without",
        )


def _xsolla_algorithm(entry: ClientEntry) -> Iterator[Finding]:
    if entry.settings.compat == "xsolla" and entry.settings.access_token_alg not in {None, "RS256"}:
        yield Finding(("access_token_alg",), "the Xsolla profile has RS256 access tokens only", "leave it out")


def _exchange_from(entry: ClientEntry) -> Iterator[Finding]:
    if not entry.settings.exchange_from:
        return
    if TOKEN_EXCHANGE not in entry.settings.effective_grants:
        yield Finding(
            ("exchange_from",), "the client exchanges no tokens", f'add "{TOKEN_EXCHANGE}" to its grants, or remove it'
        )
    elif entry.settings.effective_type == "public":
        yield Finding(
            ("exchange_from",),
            "whoever was sent a token could exchange it in the name of this client, which has no secret",
            "give the client a secret, or remove exchange_from",
        )
    elif not entry.settings.first_party:
        yield Finding(
            ("exchange_from",),
            "players are never asked whether a client that is not the studio's own may have the tokens of another",
            "remove exchange_from; the client gets its own tokens, with the player's consent",
        )


def _introspect(entry: ClientEntry) -> Iterator[Finding]:
    if entry.settings.introspect and entry.settings.effective_type == "public":
        yield Finding(("introspect",), "only a client with a secret may introspect tokens", "give it a secret")


def _manage_players(entry: ClientEntry) -> Iterator[Finding]:
    if entry.settings.manage_players and entry.settings.effective_type == "public":
        yield Finding(("manage_players",), "only a client with a secret may manage players", "give it a secret")


def _cors_origins(entry: ClientEntry) -> Iterator[Finding]:
    for place, origin in enumerate(entry.settings.cors_origins):
        found = _ORIGIN.fullmatch(origin)
        if not found or (found["scheme"] == "http" and found["host"] not in _LOOPBACK_HOSTS):
            yield Finding(
                ("cors_origins", place),
                "this is no web origin, or one on plain http",
                "write https://host, in lower case, without a path or a slash at its end; wildcards are not possible",
            )


def _refresh_lifetimes(entry: ClientEntry) -> Iterator[Finding]:
    lifetimes = entry.settings.lifetimes(entry.tokens)
    own = entry.settings.refresh_idle or entry.settings.refresh_absolute
    if own and lifetimes.refresh_idle > lifetimes.refresh_absolute:
        yield Finding(
            ("refresh_idle",), "refresh_idle is longer than refresh_absolute, which ends it anyway", "shorten it"
        )


CLIENT_CHECKS: tuple[tuple[tuple[str, ...], Check], ...] = (
    ((), _id),
    (("compat",), _xsolla_id),
    (("type", *SECRET_SETTINGS), _type),
    (("grants", "type", *SECRET_SETTINGS), _grants),
    (("redirect_uris", "native", "compat"), _redirect_uris),
    (("redirect_uris", "grants", "type"), _redirects_fit_grants),
    (("error_redirect_uri", "native", "compat"), _error_redirect_uri),
    (("scopes",), _scopes),
    (("extra_scopes",), _extra_scopes),
    (("extra_scopes", "compat"), _any_scope),
    (("audiences",), _audiences),
    (("id_token_audiences", "compat", "grants", "type", *SECRET_SETTINGS), _id_token_exchange),
    (("id_token_audiences",), _id_token_audiences),
    (("pkce", "type", *SECRET_SETTINGS, "compat"), _pkce),
    (("access_token_alg", "compat"), _xsolla_algorithm),
    (("exchange_from", "grants", "type", "first_party", *SECRET_SETTINGS), _exchange_from),
    (("introspect", "type", *SECRET_SETTINGS), _introspect),
    (("manage_players", "type", *SECRET_SETTINGS), _manage_players),
    (("cors_origins",), _cors_origins),
    (("refresh_idle", "refresh_absolute"), _refresh_lifetimes),
)
"""The settings a check reads, and the check: one whose settings could not be read is left out."""


def client_warnings(entry: ClientEntry) -> Iterator[Finding]:
    """What is allowed but risky, or unlikely to be meant."""
    settings = entry.settings
    if settings.extra_scopes is None:
        yield Finding(
            ("extra_scopes",),
            "every scope a game asks for is put into its tokens",
            "let no backend take a scope of this client for a permission, or list the scopes",
        )
    for place, uri in enumerate(settings.redirect_uris):
        if not settings.native and _PORTLESS_LOOPBACK.fullmatch(uri):
            yield Finding(
                ("redirect_uris", place),
                "only port 80 of the player's machine will match",
                "set native = true to allow every port, or write the port",
            )


def redirect_problems(name: str, uris: tuple[str, ...], settings: ClientSettings) -> Iterator[Finding]:
    """What is wrong with the client's list `name` of URIs that players are sent to."""
    for place, uri in enumerate(uris):
        refusal = registration_problem(uri, native=settings.native, xsolla=settings.compat == "xsolla")
        if refusal:
            yield Finding((name, place), refusal.what, refusal.remedy)
        if uri in uris[:place]:
            yield Finding((name, place), "the redirect URI stands here twice", "remove one")


def scope_problems(path: Path, scope: str) -> Iterator[Finding]:
    """What is wrong with a scope that somebody may be granted."""
    if not _SCOPE.fullmatch(scope):
        yield Finding(
            path,
            "this is no scope: 1 to 128 ASCII characters without spaces, double quotes and backslashes",
            'write one scope per list item: ["openid", "profile"]',
        )
    elif scope in RESERVED_CLAIMS:
        yield Finding(path, f"{scope} is the name of a claim that only the server sets", "choose another name")


def is_audience(text: str) -> bool:
    """Whether a text can be an `aud` value: printable ASCII without spaces, at most 255 characters."""
    return _AUDIENCE.fullmatch(text) is not None


def audience_finding(path: Path) -> Finding:
    """The finding about a text that cannot."""
    return Finding(path, "this is no audience", "write 1 to 255 ASCII characters without spaces, best an https address")
