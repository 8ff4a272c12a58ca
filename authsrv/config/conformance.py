"""How each client of the configuration stands against OAuth 2.1 and the FAPI 2.0 Security Profile.

Owns the two lists of what a client would have to change. Refuses nothing: what may not be is in the checks.
"""

from collections.abc import Callable, Iterator

from authsrv.config.schema import Config
from authsrv.models import Client
from authsrv.records import dataclass

Deviation = tuple[Callable[[Client], bool], str]


def _has_codes(client: Client) -> bool:
    return "authorization_code" in client.grant_types


_OAUTH_21: tuple[Deviation, ...] = (
    (lambda client: _has_codes(client) and not client.pkce_required, "PKCE is optional"),
    (lambda client: any(_is_localhost(uri) for uri in client.redirect_uris), "a redirect URI names localhost"),
    (lambda client: any(_is_undotted(uri) for uri in client.redirect_uris), "a private scheme has no dot"),
    (lambda client: client.extra_scopes is None, "any scope is granted"),
)
"""draft-ietf-oauth-v2-1, sections 2.3, 3.2.2.1, 4.1 and 8.4."""
_FAPI_2: tuple[Deviation, ...] = (
    (lambda client: client.public, "it is a public client"),
    (lambda client: not client.public, "it authenticates by a secret, not by private_key_jwt or mTLS"),
    (lambda _: True, "its access tokens are bearer tokens, not bound to a key"),
    (_has_codes, "its authorization requests are not pushed (PAR)"),
    (lambda client: _has_codes(client) and not client.pkce_required, "PKCE is optional"),
    (lambda client: client.access_token_alg == "RS256", "its access tokens are signed by RS256"),
    (lambda client: _has_codes(client) and client.id_token_alg == "RS256", "its id_tokens are signed by RS256"),
)
"""FAPI 2.0 Security Profile, sections 5.3.2 and 5.4."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A client, and what keeps it from each profile; nothing means that it conforms."""

    client_id: str
    oauth_21: tuple[str, ...]
    fapi_2: tuple[str, ...]


def standings(config: Config) -> tuple[Standing, ...]:
    """Every client of the file, in its order."""
    return tuple(
        Standing(client_id, tuple(_deviations(client, _OAUTH_21)), tuple(_deviations(client, _FAPI_2)))
        for client_id, client in config.clients().items()
    )


def conformance_report(config: Config) -> str:
    """The standings for people."""
    blocks = (
        f"{each.client_id}\n  OAuth 2.1: {_told(each.oauth_21)}\n  FAPI 2.0:  {_told(each.fapi_2)}"
        for each in standings(config)
    )
    return "\n\n".join(blocks) or "The configuration has no clients."


def _deviations(client: Client, table: tuple[Deviation, ...]) -> Iterator[str]:
    return (what for deviates, what in table if deviates(client))


def _told(deviations: tuple[str, ...]) -> str:
    return f"no; {'; '.join(deviations)}" if deviations else "conforms"


def _is_localhost(uri: str) -> bool:
    return uri.startswith(("http://localhost:", "http://localhost/")) or uri == "http://localhost"


def _is_undotted(uri: str) -> bool:
    scheme = uri.partition(":")[0]
    return scheme not in {"http", "https"} and "." not in scheme
