"""What of a registration's JSON object becomes client metadata (RFC 7591 section 2, OpenID Connect Registration).

Owns types, defaults and the values that this server offers. Pure; what an address may be is the caller's to judge, by
the rules of the file's clients. Knows no HTTP and no storage.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args

from authsrv.client_metadata import ApplicationType, ClientMetadata
from authsrv.errors import (
    InvalidClientMetadata,
    InvalidRedirectUri,
    InvalidSoftwareStatement,
    UnapprovedSoftwareStatement,
)
from authsrv.models import AuthMethod, GrantType, RegistrationPolicy
from authsrv.oauth.scopes import OFFLINE
from authsrv.players import clean_display_name

LONGEST_NAME = 100
LONGEST_TEXT = 2048
MOST_ITEMS = 50
LONGEST_AGE = 366 * 86400

_GRANTS: tuple[GrantType, ...] = ("authorization_code", "refresh_token")
_METHODS: tuple[AuthMethod, ...] = get_args(AuthMethod)
_TYPES: tuple[ApplicationType, ...] = get_args(ApplicationType)
_LOOPBACK = ("http://127.0.0.1", "http://[::1]", "http://localhost")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SIGNED_JWT = re.compile(r"(?:[A-Za-z0-9_-]+\.){2}[A-Za-z0-9_-]+")  # RFC 7515 section 7.1; an unsigned one has an end

Choice = TypeVar("Choice", bound=str)


def read(sent: Mapping[str, Any], policy: RegistrationPolicy) -> ClientMetadata:
    """The metadata that a client would have, with a default for what it left out or sent as null or empty.

    Unknown members are ignored. Of lists of grant and response types and of scopes, what is not offered is left out.
    Raises `InvalidRedirectUri`, `InvalidClientMetadata`, or an error about a software statement.
    """
    _refuse_statement(sent)
    grants = _grants(sent)
    redirect_uris = _redirect_uris(sent)
    return ClientMetadata(
        redirect_uris=redirect_uris,
        token_endpoint_auth_method=_choice(sent, "token_endpoint_auth_method", _METHODS) or "client_secret_basic",
        grant_types=grants,
        response_types=_response_types(sent),
        application_type=_application_type(sent, redirect_uris),
        subject_type=_choice(sent, "subject_type", ("public",)) or "public",
        scope=_scope(sent, policy.scopes, grants),
        client_name=_name(sent),
        client_uri=_text(sent, "client_uri"),
        logo_uri=_text(sent, "logo_uri"),
        policy_uri=_text(sent, "policy_uri"),
        tos_uri=_text(sent, "tos_uri"),
        contacts=_texts(sent, "contacts"),
        initiate_login_uri=_text(sent, "initiate_login_uri"),
        post_logout_redirect_uris=_texts(sent, "post_logout_redirect_uris"),
        backchannel_logout_uri=_text(sent, "backchannel_logout_uri"),
        backchannel_logout_session_required=_flag(sent, "backchannel_logout_session_required"),
        frontchannel_logout_uri=_text(sent, "frontchannel_logout_uri"),
        frontchannel_logout_session_required=_flag(sent, "frontchannel_logout_session_required"),
        id_token_signed_response_alg=_choice(sent, "id_token_signed_response_alg", policy.algorithms) or "RS256",
        userinfo_signed_response_alg=_choice(sent, "userinfo_signed_response_alg", policy.algorithms),
        default_max_age=_age(sent, "default_max_age"),
        require_auth_time=_flag(sent, "require_auth_time"),
        software_id=_text(sent, "software_id"),
        software_version=_text(sent, "software_version"),
    )


def _refuse_statement(sent: Mapping[str, Any]) -> None:
    """Its values would outrank the plain ones (section 2.3), so that to ignore it would register something else."""
    statement = sent.get("software_statement")
    if statement is None:
        return
    if not isinstance(statement, str) or not _SIGNED_JWT.fullmatch(statement):
        raise InvalidSoftwareStatement(parameter="software_statement")
    raise UnapprovedSoftwareStatement(parameter="software_statement")


def _redirect_uris(sent: Mapping[str, Any]) -> tuple[str, ...]:
    try:
        found = _texts(sent, "redirect_uris")
    except InvalidClientMetadata as error:
        raise InvalidRedirectUri(error.description, parameter=error.parameter) from None
    if not found:
        raise InvalidRedirectUri("Register at least one redirect URI.", parameter="redirect_uris")
    return found


def _application_type(sent: Mapping[str, Any], redirect_uris: Iterable[str]) -> ApplicationType:
    """As sent; RFC 7591 knows no such member, so that clients of OAuth alone are told apart by their addresses."""
    local = [uri for uri in redirect_uris if not uri.startswith("https:")]
    asked = _choice(sent, "application_type", _TYPES)
    if asked == "web" and any(uri.startswith(_LOOPBACK) for uri in local):
        raise InvalidRedirectUri(
            "An address on the player's own machine is for clients with application_type native.",
            parameter="redirect_uris",
        )
    return asked or ("native" if local else "web")


def _grants(sent: Mapping[str, Any]) -> tuple[GrantType, ...]:
    asked = _texts(sent, "grant_types") or ("authorization_code",)
    found = tuple(grant for grant in _GRANTS if grant in asked)
    if "authorization_code" not in found:
        raise _wrong("grant_types", "Registered clients use the grant type authorization_code.")
    return found


def _response_types(sent: Mapping[str, Any]) -> tuple[Any, ...]:
    if "code" not in (_texts(sent, "response_types") or ("code",)):
        raise _wrong("response_types", "Only the response type code is offered.")
    return ("code",)


def _scope(sent: Mapping[str, Any], allowed: tuple[str, ...], grants: tuple[GrantType, ...]) -> str:
    """What the client may ask for: no refresh token without the grant that uses it."""
    asked = tuple(value for value in _text(sent, "scope").split(" ") if value) or allowed
    offered = {*allowed, *(OFFLINE if OFFLINE.intersection(allowed) else ())}
    if "refresh_token" not in grants:
        offered -= OFFLINE
    found = " ".join(value for value in dict.fromkeys(asked) if value in offered)
    if not found:
        raise _wrong("scope", "None of these scopes is offered to registered clients.")
    return found


def _name(sent: Mapping[str, Any]) -> str:
    """What players will read, made harmless. Names in other languages (section 2.2) are ignored."""
    found = sent.get("client_name")
    if not isinstance(found, str | None):
        raise _wrong("client_name", "client_name is a text.")
    return clean_display_name(found or "", LONGEST_NAME)


def _choice(sent: Mapping[str, Any], name: str, offered: tuple[Choice, ...]) -> Choice | None:
    asked = _text(sent, name)
    if not asked:
        return None
    for one in offered:
        if asked == one:
            return one
    raise _wrong(name, f"{name} is one of: {', '.join(offered)}.")


def _text(sent: Mapping[str, Any], name: str) -> str:
    found = sent.get(name)
    if found is None:
        return ""
    if not _is_text(found):
        raise _wrong(name, f"{name} is a text of {LONGEST_TEXT} characters at most, without control characters.")
    return str(found)


def _texts(sent: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found = sent.get(name)
    if found is None:
        return ()
    if not isinstance(found, list) or len(found) > MOST_ITEMS or not all(_is_text(item) for item in found):
        raise _wrong(name, f"{name} is a list of {MOST_ITEMS} texts at most, without control characters.")
    return tuple(found)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_TEXT and not _CONTROL.search(value)


def _flag(sent: Mapping[str, Any], name: str) -> bool:
    found = sent.get(name)
    if not isinstance(found, bool | None):
        raise _wrong(name, f"{name} is true or false.")
    return found is True


def _age(sent: Mapping[str, Any], name: str) -> int | None:
    found = sent.get(name)
    if found is None:
        return None
    if type(found) is not int or not 0 <= found <= LONGEST_AGE:
        raise _wrong(name, f"{name} is a number of seconds, a year at most.")
    return found


def _wrong(name: str, description: str) -> InvalidClientMetadata:
    return InvalidClientMetadata(description, parameter=name)
