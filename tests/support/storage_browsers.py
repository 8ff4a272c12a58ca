"""Models about browsers for tests of the storage, with everything filled in that one can have at its beginning."""

from authsrv.models import Browser, LogoutNotice, PendingRequest, Session, Trip
from tests.support.storage import NOW, digest

PROFILE = '{"name":"Amber","email":"amber@example.com"}'


def browser(number: int = 1) -> Browser:
    return Browser(number, digest(f"cookie {number}"), created_at=NOW + 1, expires_at=NOW + 2_592_000)


def pending(number: int = 1, *, browser_id: int = 1) -> PendingRequest:
    """A request that waits, with everything that one can have before its end."""
    return PendingRequest(
        id=number,
        browser_id=browser_id,
        project="skyforge",
        client_id="shop",
        parameters='{"scope":"openid email","state":"s-1"}',
        created_at=NOW + 2,
        expires_at=NOW + 3600,
        expected_sub="sub-7",
        progress=("login", "select_account"),
    )


def trip(number: int = 1, *, browser_id: int = 1, request_id: int = 1) -> Trip:
    """A trip under way."""
    return Trip(
        id=number,
        browser_id=browser_id,
        request_id=request_id,
        platform="epicgames",
        state_hash=digest(f"state {number}"),
        created_at=NOW + 3,
        expires_at=NOW + 600,
    )


def session(number: int = 1, *, browser_id: int = 1, project: str = "skyforge", player_id: int = 1) -> Session:
    """A session that has not ended."""
    return Session(
        id=number,
        browser_id=browser_id,
        project=project,
        player_id=player_id,
        platform="xbox",
        idp="xuid",
        idp_subject="2814600000000001",
        auth_time=NOW + 4,
        created_at=NOW + 5,
        expires_at=NOW + 43_200,
        absolute_expires_at=NOW + 86_400,
        used_at=NOW + 6,
    )


def notice(number: int = 1) -> LogoutNotice:
    return LogoutNotice(
        id=number,
        client_id="shop",
        session_id=12,
        sub="sub-1",
        created_at=NOW + 6,
        next_attempt_at=NOW + 7,
        attempts=3,
    )
