"""What a browser sign-in must still do before a client gets its code, as a pure decision over loaded facts.

Owns `prompt`, `max_age`, the expected player and consent (OpenID Connect Core section 3.1.2). Does no I/O and knows
neither OAuth's wire nor platforms.
"""

from typing import Literal

from authsrv import ages
from authsrv.account_models import GUEST
from authsrv.models import Client, Project, Session, SignedIn
from authsrv.records import dataclass

Prompt = Literal["none", "login", "consent", "select_account"]
Step = Literal["login", "select_account", "consent"]


@dataclass(frozen=True, slots=True)
class Demands:
    """What a request asks of the sign-in.

    `max_age` is in seconds, None without one. `expected_sub` is the player it must be, empty for anybody. `scope` is
    what the player is asked to grant, the scopes of claims asked for one by one included. `provider` is the platform
    that the client sent its player to, empty if the player chose one on a page of ours.
    """

    client: Client
    redirect_uri: str
    scope: frozenset[str]
    prompts: frozenset[Prompt] = frozenset()
    max_age: int | None = None
    expected_sub: str = ""
    provider: str = ""


def next_step(
    demands: Demands, signed_in: SignedIn | None, consented: frozenset[str], done: frozenset[str], now: int
) -> Step | None:
    """The first thing the player must still do, or None. `done` are the steps taken for this very request."""
    if signed_in is None or not is_usable(signed_in, demands.client.project, now):
        return "login"
    if _must_sign_in_again(demands, signed_in, done, now):
        return "login"
    if "select_account" in demands.prompts and done.isdisjoint({"login", "select_account"}):
        return "select_account"
    return "consent" if "consent" not in done and needs_consent(demands, consented) else None


def is_usable(signed_in: SignedIn, project: Project, now: int) -> bool:
    """Whether a session is in force, in time, by a platform that the project still has, and its player kept out neither
    by a ban nor by their age.
    """
    session = signed_in.session
    if session.ended_at is not None or signed_in.player.is_barred(now):
        return False
    if not ages.may_come(project.accounts, signed_in.player.age_group, guest=session.idp == GUEST):
        return False
    return is_in_time(session, now) and session.platform in project.platforms


def is_in_time(session: Session, now: int) -> bool:
    """Whether neither limit of a session has passed."""
    return now < min(session.expires_at, session.absolute_expires_at)


def needs_consent(demands: Demands, consented: frozenset[str]) -> bool:
    """Whether the player must be asked: a client of somebody else's, or one that nobody can tell from an impostor."""
    # A client that sends its players straight to a platform has no page of ours on the way, so none can ask.
    is_doubtful = not demands.provider and asks_every_time(demands.client, demands.redirect_uri)
    if "consent" in demands.prompts or is_doubtful:
        return True
    return not demands.client.first_party and not demands.scope <= consented


def asks_every_time(client: Client, redirect_uri: str) -> bool:
    """Whether any application of the machine could take the answer in the client's place (RFC 8252 section 8.6)."""
    return not redirect_uri.startswith("https:") and (client.public or client.native)


def _must_sign_in_again(demands: Demands, signed_in: SignedIn, done: frozenset[str], now: int) -> bool:
    if demands.expected_sub not in {"", signed_in.player.sub}:
        return True
    if "login" in done:
        return False
    # Both times are whole seconds, so that an age that looks like max_age may be almost a second more.
    too_old = demands.max_age is not None and now - signed_in.session.auth_time >= demands.max_age
    return "login" in demands.prompts or too_old
