"""The answers of LoginWithServerCustomId, read strictly: a session, or a reason that repeats nothing."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsrv.platforms.base import OutboundResponse
from authsrv.playfab.wire import Entity, NoSession, Session, login_of, read_session

ENTITY = {"EntityToken": "entity-token", "Entity": {"Id": "E1", "Type": "title_player_account", "TypeString": "x"}}
DATA = {"PlayFabId": "P1", "SessionTicket": "P1--ticket", "NewlyCreated": False, "EntityToken": ENTITY}


def answer(data: Any, status: int = 200, **envelope: Any) -> OutboundResponse:
    document = {"code": status, "status": "OK", "data": data} | envelope
    return OutboundResponse(status, {}, json.dumps(document).encode())


def refused(status: int, **members: Any) -> NoSession:
    with pytest.raises(NoSession) as told:
        read_session(OutboundResponse(status, {}, json.dumps(members).encode()))
    return told.value


def test_a_session_is_read_with_its_entity() -> None:
    found = read_session(answer(DATA))
    assert found == Session("P1", "P1--ticket", Entity("E1", "title_player_account", "entity-token"))
    assert found.claims() == {
        "external_account_id": "P1",
        "session_ticket": "P1--ticket",
        "entity_token": "entity-token",
        "entity_type": "title_player_account",
        "entity_id": "E1",
    }


@pytest.mark.parametrize("data", [DATA | {"EntityToken": None}, {k: v for k, v in DATA.items() if k != "EntityToken"}])
def test_the_entity_may_be_missing(data: dict[str, Any]) -> None:
    assert read_session(answer(data)).claims() == {"external_account_id": "P1", "session_ticket": "P1--ticket"}


@pytest.mark.parametrize("status", [201, 202, 302])
def test_a_session_comes_with_status_200_alone(status: int) -> None:
    with pytest.raises(NoSession, match=f"^status {status}$"):
        read_session(answer(DATA, status, code=200))


def test_a_session_that_is_printed_shows_no_token() -> None:
    assert "ticket" not in repr(read_session(answer(DATA))).replace("ticket_", "")
    assert "entity-token" not in repr(read_session(answer(DATA)))


def test_the_request_names_the_player_and_asks_for_nothing_about_them() -> None:
    assert login_of("0d0c2c1e") == {"ServerCustomId": "0d0c2c1e", "CreateAccount": True}


@pytest.mark.parametrize(("length", "is_read"), [(3072, True), (3073, False)])
def test_a_ticket_may_be_three_kibibytes_long(length: int, is_read: bool) -> None:
    response = answer(DATA | {"SessionTicket": "t" * length})
    if is_read:
        assert read_session(response).ticket == "t" * length
    else:
        with pytest.raises(NoSession, match="unknown shape: SessionTicket"):
            read_session(response)


@pytest.mark.parametrize(
    ("status", "code", "cause"),
    [
        (400, 1002, "player_refused"),
        (403, 1322, "player_refused"),
        (401, 1074, "misconfigured"),
        (401, 0, "misconfigured"),
        (400, 1199, "unavailable"),
        (429, 1074, "unavailable"),
        (503, 1074, "unavailable"),
        (408, 1074, "unavailable"),
        (302, 1074, "unavailable"),
        (204, 1074, "unavailable"),
    ],
)
def test_status_and_number_together_say_whose_fault_it_is(status: int, code: int, cause: str) -> None:
    assert refused(status, errorCode=code).cause == cause


@pytest.mark.parametrize("number", [True, "1002", 1002.0, -1, 10**9, None, [1002]])
def test_what_is_no_number_of_playfab_decides_nothing(number: Any) -> None:
    error = refused(403, errorCode=number)
    assert (error.cause, str(error)) == (
        "misconfigured",
        "status 403, error 0: check title_id and secret_key",
    )


@given(st.text(min_size=4), st.integers(400, 499))
def test_no_text_of_playfab_is_repeated(text: str, status: int) -> None:
    error = refused(status, error=text, errorMessage=text, errorDetails={text: [text]}, errorCode=7)
    assert str(error) in {f"status {status}", f"status {status}, error 7: check title_id and secret_key"}


@given(st.sampled_from([200, 400, 401, 429, 500]), st.binary())
def test_any_bytes_are_a_session_or_a_reason(status: int, body: bytes) -> None:
    with pytest.raises(NoSession):
        read_session(OutboundResponse(status, {}, body))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*DATA, *ENTITY, "x"]), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(list(DATA)), JSON), st.sampled_from([200, 400, "200", None]))
def test_any_members_are_a_session_of_texts_or_a_reason(changes: dict[str, Any], code: Any) -> None:
    with suppress(NoSession):
        found = read_session(answer(DATA | changes, code=code)).claims()
        assert code == 200
        assert all(value.isascii() and value.isprintable() and " " not in value for value in found.values())
