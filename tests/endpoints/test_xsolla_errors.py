"""Every kind of error in Xsolla's envelope: its status, the code that SDKs act on, and the details that are ours."""

import json
import re
from collections.abc import Iterator

import pytest

from authsrv import errors
from authsrv.endpoints.dialects import XSOLLA, Endpoint
from authsrv.errors import AuthsrvError
from authsrv.models import NEVER
from authsrv.players import refusal
from tests.support.xsolla import Refusal

DATE = "2026-09-21T14:13:20+00:00"
SECONDS = 1_790_000_000


def told(error: AuthsrvError, endpoint: Endpoint = "other") -> Refusal:
    answer = XSOLLA.error(error, endpoint, "0123456789abcdef")
    (found,) = json.loads(bytes(answer.body)).values()
    details = {name: value for name, value in found["details"].items() if name != "reference"}
    return answer.status_code, found["code"], details


ACCOUNTS = [
    pytest.param(errors.AccountConflict(), (422, "010-016", {"reason": "account_conflict"}), id="conflict"),
    pytest.param(errors.LinkLimit(), (422, "010-016", {"reason": "link_limit"}), id="too many"),
    pytest.param(errors.StateChanged(), (422, "010-016", {"reason": "state_changed"}), id="changed meanwhile"),
    pytest.param(
        errors.RelinkCooldown(facts={"retry_at": SECONDS}),
        (422, "010-016", {"reason": "relink_cooldown", "retry_at": DATE}),
        id="unlinked lately",
    ),
    pytest.param(errors.LastIdentity(), (422, "003-020", {"reason": "last_identity"}), id="last identity"),
    pytest.param(errors.NotLinked(), (404, "003-061", {"reason": "not_linked"}), id="not linked"),
    pytest.param(
        errors.ReauthenticationRequired(), (403, "010-026", {"reason": "reauthentication_required"}), id="sign in again"
    ),
    pytest.param(errors.InsufficientScope(), (403, "010-026", {}), id="not for this client"),
    pytest.param(errors.InvalidToken(), (401, "010-017", {}), id="token"),
    pytest.param(
        refusal("banned", SECONDS), (401, "002-040", {"reason": "banned", "date_to": DATE}), id="banned for a time"
    ),
    pytest.param(refusal("banned", NEVER), (401, "002-040", {"reason": "banned"}), id="banned without end"),
]


@pytest.mark.parametrize(("error", "outcome"), ACCOUNTS)
@pytest.mark.parametrize("endpoint", ["token", "silent", "resource", "other"])
def test_what_is_wrong_with_an_account_has_its_code(error: AuthsrvError, outcome: Refusal, endpoint: Endpoint) -> None:
    assert told(error, endpoint) == outcome


VALIDATION = [
    pytest.param(errors.InvalidToken(), (422, "002-016", {}), id="token"),
    pytest.param(refusal("banned", SECONDS), (422, "002-040", {"reason": "banned", "date_to": DATE}), id="banned"),
    pytest.param(refusal("restricted", NEVER), (422, "002-016", {}), id="restricted"),
    pytest.param(errors.UserNotFound(), (404, "003-002", {"reason": "user_not_found"}), id="gone"),
]


@pytest.mark.parametrize(("error", "outcome"), VALIDATION)
def test_whoever_asks_about_a_token_is_not_told_that_their_own_is_wrong(error: AuthsrvError, outcome: Refusal) -> None:
    assert told(error, "validation") == outcome


def test_nothing_about_another_player_is_told() -> None:
    summary = {"sub": "0d0c2c1e-5b8e-4a57-9d0e-6a0f0f3b1c11", "display_name": "Anna"}
    assert told(errors.AccountConflict(facts={"other": summary, "continuation_token": "eyJ"})) == (
        422,
        "010-016",
        {"reason": "account_conflict"},
    )


def every_kind(kind: type[AuthsrvError] = AuthsrvError) -> Iterator[type[AuthsrvError]]:
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            yield each
        yield from every_kind(each)


KINDS = {kind.__name__: kind for kind in every_kind()}


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("endpoint", ["token", "silent", "resource", "validation", "other"])
def test_every_error_is_in_the_envelope_with_a_code_of_digits(kind: str, endpoint: Endpoint) -> None:
    throttled = errors.RateLimited(retry_after=1, policy={})
    error = throttled if kind == "RateLimited" else KINDS[kind]()
    answer = XSOLLA.error(error, endpoint, "0123456789abcdef")
    (found,) = json.loads(bytes(answer.body)).values()
    assert 400 <= answer.status_code <= 503
    assert re.fullmatch(r"[0-9]+(-[0-9]+)*", found["code"])
    assert found["description"].isascii()
    assert isinstance(found["details"], dict)
