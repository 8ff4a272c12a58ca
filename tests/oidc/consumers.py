"""Game services that take our tokens, reduced to the checks that each makes, with nothing of ours in them.

Sources are the services' own pages; what is inferred stands in `docs/consumers.md`. A checker looks at what the service
would fetch and be shown, and raises `Refused`.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import jwt

RSA = frozenset({"RS256", "RS384", "RS512"})
ECDSA = frozenset({"ES256", "ES384", "ES512"})
PSS = frozenset({"PS256", "PS384", "PS512"})
WELL_KNOWN = "/.well-known/openid-configuration"
DAY = 86400


class Refused(Exception):
    """The service does not take it."""


@dataclass(frozen=True, slots=True)
class Document:
    """What an address answered, redirects not followed."""

    url: str
    status: int
    headers: Mapping[str, str]
    content: Any


@dataclass(frozen=True, slots=True)
class Seen:
    """What a service knows: what was entered there, what it fetched, what the game showed it, and the time."""

    issuer: str
    audience: str
    discovery: Document
    keys: Document
    userinfo: Document
    id_token: str
    access_token: str
    now: float


Checker = Callable[[Seen], None]


def require(holds: object, what: str) -> None:
    if not holds:
        raise Refused(what)


def epic_by_userinfo(seen: Seen) -> None:
    """The two fields named in the portal are texts at the top of a JSON object."""
    fetched(seen.userinfo)
    require(isinstance(seen.userinfo.content, dict), "no object")
    for name in ("sub", "preferred_username"):
        require(is_text(seen.userinfo.content.get(name)), name)


def epic_by_keys(seen: Seen) -> None:
    fetched(seen.keys)
    claims = signed_claims(seen, seen.id_token, RSA)
    require(claims.get("iss") == seen.issuer, "iss")
    require(seen.now < claims.get("exp", 0), "exp")
    for name in ("sub", "preferred_username"):
        require(is_text(claims.get(name)), name)


def playfab(seen: Seen) -> None:
    discovered(seen, "authorization_endpoint", "token_endpoint", "jwks_uri")
    claims = signed_claims(seen, seen.id_token, RSA)
    require(claims.get("iss") == seen.discovery.content["issuer"], "IDX10205: iss")
    require(seen.audience in audiences(claims), "IDX10214: aud")
    require(seen.now < claims.get("exp", 0), "IDX10223: exp")
    require("nonce" not in claims, "a nonce, without IgnoreNonce")
    require(is_text(claims.get("sub")), "sub")


def unity(seen: Seen) -> None:
    discovered(seen, "jwks_uri")
    claims = signed_claims(seen, seen.id_token, RSA)
    require(claims.get("iss") == seen.issuer, "iss")
    require(seen.audience in audiences(claims), "wrong audience: aud")
    require(seen.now < claims.get("exp", 0), "token is expired")
    require(claims.get("nbf", 0) <= seen.now, "not valid yet")
    require(claims.get("iat", seen.now + 1) <= seen.now, "iat: token issued at claim is in the future")
    require(is_text(claims.get("sub")), "sub")


def discord(seen: Seen) -> None:
    public_address(seen.issuer)
    discovered(seen, "jwks_uri")
    offered = seen.discovery.content.get("id_token_signing_alg_values_supported")
    allowed = RSA | ECDSA | PSS
    require(isinstance(offered, list) and allowed & set(offered), "id_token_signing_alg_values_supported")
    claims = signed_claims(seen, seen.id_token, allowed)
    require(claims.get("iss") == seen.issuer, "iss")
    require(is_text(claims.get("sub")), "sub")
    require(seen.audience in audiences(claims), "aud")
    require(seen.now < claims.get("exp", 0), "exp")
    require(seen.now - 7 * DAY <= claims.get("iat", 0) <= seen.now, "iat")
    name = claims.get("preferred_username")
    require(isinstance(name, str) and 1 <= len(name) <= 32, "preferred_username")


def mod_io(seen: Seen) -> None:
    skew = 10
    fetched(seen.keys)
    claims = signed_claims(seen, seen.id_token, {"RS256", "ES256", "ES512"})
    require(claims.get("aud") == "https://mod.io", "aud")
    require(is_text(claims.get("sub")) or is_positive(claims.get("sub")), "sub")
    require(claims.get("sub") != claims.get("idp_sub"), "sub is a platform's id")
    require(seen.now < claims.get("exp", 0) + skew, "exp")
    require(claims.get("iat", 0) <= seen.now + skew, "iat")


def accelbyte(seen: Seen) -> None:
    """All three ways: the id_token of a code or of a game by the keys, an access token by UserInfo."""
    discovered(seen, "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")
    claims = signed_claims(seen, seen.id_token, RSA)
    require(claims.get("iss") == seen.discovery.content["issuer"], "iss")
    require(seen.audience in audiences(claims), "aud")
    require(seen.now < claims.get("exp", 0), "exp")
    fetched(seen.userinfo)
    require(is_text(claims.get("sub")) and seen.userinfo.content.get("sub") == claims["sub"], "sub")


def firebase(seen: Seen) -> None:
    discovered(seen, "authorization_endpoint", "token_endpoint", "jwks_uri")
    require("code" in seen.discovery.content.get("response_types_supported", ()), "response_types_supported")
    methods = seen.discovery.content.get("token_endpoint_auth_methods_supported", ())
    require({"client_secret_basic", "client_secret_post"} <= set(methods), "token_endpoint_auth_methods_supported")
    claims = signed_claims(seen, seen.id_token, RSA)
    require(claims.get("iss") == seen.issuer, "iss")
    require(seen.audience in audiences(claims), "aud")
    require(seen.now < claims.get("exp", 0), "exp")
    require(is_text(claims.get("sub")), "sub")


def cognito(seen: Seen) -> None:
    discovered(seen, "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")
    for name in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"):
        require(urlsplit(seen.discovery.content[name]).port in {None, 80, 443}, f"port of {name}")
    claims = signed_claims(seen, seen.id_token, RSA | ECDSA)
    require(claims.get("iss") == seen.issuer, "iss")
    require(seen.audience in audiences(claims), "aud")
    require(seen.now < claims.get("exp", 0), "exp")
    fetched(seen.userinfo)
    require(is_text(claims.get("sub")) and seen.userinfo.content.get("sub") == claims["sub"], "sub")


def http_api(seen: Seen) -> None:
    """The JWT authorizer, on a route with the scope `match:join`."""
    discovered(seen, "jwks_uri")
    claims = signed_claims(seen, seen.access_token, RSA)
    gateway_claims(seen, claims)
    scope = claims.get("scope", claims.get("scp", ""))
    require("match:join" in (scope.split(" ") if isinstance(scope, str) else scope), "scope")


def rest_api(seen: Seen) -> None:
    """An authorizer of the studio's own."""
    fetched(seen.keys)
    gateway_claims(seen, signed_claims(seen, seen.access_token, RSA | ECDSA))


def nakama(seen: Seen) -> None:
    """The studio's hook, and then Nakama's rule for the id that the hook sets."""
    fetched(seen.keys)
    require(jwt.get_unverified_header(seen.access_token).get("typ") == "at+jwt", "typ")
    claims = signed_claims(seen, seen.access_token, RSA | ECDSA)
    require(claims.get("iss") == seen.issuer, "iss")
    require(seen.audience in audiences(claims), "aud")
    require(seen.now < claims.get("exp", 0), "exp")
    identity = claims.get("sub", "")
    require(6 <= len(identity.encode()) <= 128, "length of the id")
    require(not re.search(r"[\x00-\x1f\x7f\s]", identity), "characters of the id")


def gateway_claims(seen: Seen, claims: Mapping[str, Any]) -> None:
    """`client_id` counts only where there is no `aud`."""
    require(claims.get("iss") == seen.issuer, "iss")
    whom = audiences(claims) if "aud" in claims else [claims.get("client_id")]
    require(seen.audience in whom, "aud or client_id")
    require(seen.now < claims.get("exp", 0), "exp")
    require(claims.get("nbf", 0) <= seen.now, "nbf")
    require(claims.get("iat", seen.now + 1) <= seen.now, "iat")


def discovered(seen: Seen, *addresses: str) -> None:
    """The discovery document and the keys that it names, by https and without redirects."""
    require(seen.discovery.url == seen.issuer + WELL_KNOWN, "the address of the document")
    fetched(seen.discovery)
    require(isinstance(seen.discovery.content, dict), "no object")
    require(seen.discovery.content.get("issuer") == seen.issuer, "issuer")
    for name in addresses:
        require(str(seen.discovery.content.get(name, "")).startswith("https://"), name)
    require(seen.keys.url == seen.discovery.content["jwks_uri"], "the address of the keys")
    fetched(seen.keys)


def fetched(document: Document) -> None:
    require(document.url.startswith("https://"), "https")
    require(document.status == 200, f"status of {document.url}")
    require(document.headers.get("content-type", "").startswith("application/json"), f"type of {document.url}")


def signed_claims(seen: Seen, token: str, algorithms: Collection[str]) -> dict[str, Any]:
    """The claims of a token signed by the one published key that its header names. Judges no claim."""
    header = jwt.get_unverified_header(token)
    require(header["alg"] in algorithms, "alg of the token")
    published = seen.keys.content.get("keys", ())
    named = [key for key in published if "kid" in header and key.get("kid") == header["kid"]]
    require(len(named) == 1, "kid")
    require((named[0].get("use"), named[0].get("alg")) == ("sig", header["alg"]), "use and alg of the key")
    try:
        claims: dict[str, Any] = json.loads(jwt.api_jws.decode(token, jwt.PyJWK(named[0]), algorithms=[header["alg"]]))
    except jwt.PyJWTError as error:
        raise Refused(f"signature: {error}") from None
    return claims


def audiences(claims: Mapping[str, Any]) -> list[Any]:
    found = claims.get("aud", [])
    return found if isinstance(found, list) else [found]


def is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def is_positive(value: object) -> bool:
    return type(value) is int and value > 0


def public_address(issuer: str) -> None:
    parts = urlsplit(issuer)
    host = parts.hostname or ""
    require(parts.scheme == "https", "https")
    require(not (parts.query or parts.fragment or parts.username or parts.password), "more than an address")
    require(not host.endswith((".local", ".internal", ".localhost")) and host != "localhost", "a private name")
    require("." in host and not _is_number(host), "an address in numbers")


def _is_number(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def kept_for(document: Document) -> int:
    """For how many seconds a service that obeys the headers keeps a document."""
    found = re.search(r"max-age=([0-9]+)", document.headers.get("cache-control", ""))
    return int(found[1]) if found else 0
