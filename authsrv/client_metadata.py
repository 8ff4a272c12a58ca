"""What a client says of itself when it registers: the metadata of RFC 7591 section 2 that this server honours.

Owns the names and their JSON. What may be registered is decided elsewhere; knows neither HTTP nor storage.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal

from authsrv.models import AuthMethod, GrantType, SigningAlgorithm
from authsrv.records import dataclass

ApplicationType = Literal["web", "native"]


@dataclass(frozen=True, slots=True)
class ClientMetadata:
    """What a client registered. The names are the members of the JSON object.

    They come from RFC 7591 section 2, OpenID Connect Dynamic Client Registration section 2, and the Logout
    specifications. `scope` is separated by spaces, `default_max_age` in seconds.
    """

    redirect_uris: tuple[str, ...]
    token_endpoint_auth_method: AuthMethod = "client_secret_basic"
    grant_types: tuple[GrantType, ...] = ("authorization_code",)
    response_types: tuple[Literal["code"], ...] = ("code",)
    application_type: ApplicationType = "web"
    subject_type: Literal["public"] = "public"
    scope: str = ""
    client_name: str = ""
    client_uri: str = ""
    logo_uri: str = ""
    policy_uri: str = ""
    tos_uri: str = ""
    contacts: tuple[str, ...] = ()
    initiate_login_uri: str = ""
    post_logout_redirect_uris: tuple[str, ...] = ()
    backchannel_logout_uri: str = ""
    backchannel_logout_session_required: bool = False
    frontchannel_logout_uri: str = ""
    frontchannel_logout_session_required: bool = False
    id_token_signed_response_alg: SigningAlgorithm = "RS256"
    userinfo_signed_response_alg: SigningAlgorithm | None = None
    default_max_age: int | None = None
    require_auth_time: bool = False
    software_id: str = ""
    software_version: str = ""

    def members(self) -> dict[str, Any]:
        """The JSON object, without what was not registered."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: _plain(value) for name, value in found.items() if value not in ("", (), None)}


@dataclass(frozen=True, slots=True)
class MetadataFault:
    """Why metadata may not be registered: the member, and what is wrong with it. Never repeats its value."""

    member: str
    what: str


def to_json(metadata: ClientMetadata) -> str:
    """The metadata as it is stored."""
    return json.dumps(metadata.members(), separators=(",", ":"))


def from_json(text: str) -> ClientMetadata:
    """Stored metadata, read back; members of a later version are left out."""
    stored: Mapping[str, Any] = json.loads(text)
    names = {one.name for one in fields(ClientMetadata)}
    return ClientMetadata(**{name: _frozen(value) for name, value in stored.items() if name in names})


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
