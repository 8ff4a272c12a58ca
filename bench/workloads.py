"""The nine kinds of request that are measured, as rows of the table.

Owns their names and which algorithms each is measured with; how a system is asked for one is the system's matter.
"""

from dataclasses import dataclass
from typing import Literal

Algorithm = Literal["ES256", "RS256"]


@dataclass(frozen=True, slots=True)
class Workload:
    """A kind of request. `algorithms` sign the id_token, or the access token where there is no id_token."""

    name: str
    algorithms: tuple[Algorithm, ...] = ("ES256",)
    chained: bool = False
    """Whether each connection goes on with the refresh token of its last answer."""
    used_once: bool = False
    """Whether each request takes a code or a ticket of its own, so that a round's length is a matter of stock."""
    signs: bool = True
    """Whether the answer is signed, so that the algorithm belongs to the row's name."""


CODE_EXCHANGE = Workload("code exchange", ("ES256", "RS256"), used_once=True)
REFRESH = Workload("refresh", ("ES256", "RS256"), chained=True)
CLIENT_CREDENTIALS = Workload("client_credentials", ("ES256", "RS256"))
TOKEN_EXCHANGE = Workload("token exchange", ("ES256", "RS256"))
SILENT_LOGIN = Workload("silent login", used_once=True, signs=False)
INTROSPECTION = Workload("introspection", signs=False)
USERINFO = Workload("userinfo", signs=False)
DISCOVERY = Workload("discovery", signs=False)
JWKS = Workload("JWKS", signs=False)

WORKLOADS = (
    CODE_EXCHANGE,
    REFRESH,
    CLIENT_CREDENTIALS,
    TOKEN_EXCHANGE,
    SILENT_LOGIN,
    INTROSPECTION,
    USERINFO,
    DISCOVERY,
    JWKS,
)
