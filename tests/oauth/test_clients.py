import hashlib
from base64 import b64encode
from contextlib import suppress

import pytest

from authsrv.errors import AuthsrvError, InvalidClient, InvalidRequest
from authsrv.models import MOST_SECRETS, Client, ClientSecret, Digest, Project
from authsrv.oauth import clients
from authsrv.oauth.clients import AuthenticatedClient, ClientRegistry, read

PROJECT = Project("p", "00000000-0000-0000-0000-000000000000", "P")
SECRET = "s3cret/with+odd=characters"


NOW = 1_800_000_000


def secret(text: str, expires_at: int | None = None) -> ClientSecret:
    return ClientSecret(Digest(hashlib.sha256(text.encode()).digest()), expires_at)


REGISTRY = ClientRegistry(
    [
        Client("web", PROJECT, "Web", secrets=(secret("old", NOW + 1), secret("older", NOW), secret(SECRET))),
        Client("late", PROJECT, "Late", secrets=(secret("older", NOW), secret("oldest", NOW - 1))),
        Client("full", PROJECT, "Full", secrets=tuple(secret(str(number)) for number in range(MOST_SECRETS))),
        Client("odd", PROJECT, "Odd", secrets=(secret(""),)),
        Client("game", PROJECT, "Game"),
        Client("40", PROJECT, "Xsolla game", profile="xsolla"),
    ]
)


def authenticate(parameters: dict[str, str], authorization: str = "", now: int = NOW) -> AuthenticatedClient:
    return clients.authenticate(REGISTRY, read(parameters, authorization), "standard", now)


def basic(text: str | bytes) -> str:
    raw = text.encode() if isinstance(text, str) else text
    return "Basic " + b64encode(raw).decode()


@pytest.mark.parametrize(
    ("parameters", "authorization", "method"),
    [
        pytest.param({"client_id": "web", "client_secret": SECRET}, "", "client_secret_post", id="post"),
        pytest.param({"client_id": "web", "client_secret": "old"}, "", "client_secret_post", id="second secret"),
        pytest.param(
            {}, basic("web:s3cret%2Fwith%2Bodd%3Dcharacters"), "client_secret_basic", id="basic, form-encoded"
        ),
        pytest.param({"client_id": "web"}, basic("web:old"), "client_secret_basic", id="basic with the id in the body"),
        pytest.param({}, basic("web:old").replace("Basic", "bAsIc"), "client_secret_basic", id="scheme in any case"),
    ],
)
def test_a_client_with_a_secret_proves_itself(parameters: dict[str, str], authorization: str, method: str) -> None:
    proven = authenticate(parameters, authorization)
    assert (proven.client.client_id, proven.method) == ("web", method)


def test_a_public_client_names_itself() -> None:
    assert authenticate({"client_id": "game"}).method == "none"


BROKEN = [
    pytest.param({"client_id": "web", "client_secret": "wrong"}, "", InvalidClient, id="wrong secret"),
    pytest.param({"client_id": "nobody", "client_secret": "x"}, "", InvalidClient, id="unknown client"),
    pytest.param({}, "", InvalidClient, id="no client at all"),
    pytest.param({"client_id": "web"}, "", InvalidClient, id="B17 confidential client as public"),
    pytest.param({"client_id": "game", "client_secret": "x"}, "", InvalidClient, id="public client with a secret"),
    pytest.param({"client_id": "40"}, "", InvalidClient, id="client of the other surface"),
    pytest.param({"client_id": "web", "client_secret": "older"}, "", InvalidClient, id="expired secret beside others"),
    pytest.param({}, basic("late:oldest"), InvalidClient, id="expired secret alone"),
    pytest.param({"client_id": "late"}, "", InvalidClient, id="B17 no secret, and all have expired"),
    pytest.param({"client_id": "odd"}, "", InvalidClient, id="B17 no secret, and the hash of nothing"),
    pytest.param({"client_id": "game", "client_assertion": "x"}, "", InvalidClient, id="B20 assertion"),
    pytest.param({"client_id": "game", "client_assertion_type": "x"}, "", InvalidClient, id="B20 its type alone"),
    pytest.param({"client_id": "web", "client_secret": "old", "client_assertion": "x"}, "", InvalidRequest, id="B11"),
    pytest.param({"client_assertion_type": "x"}, basic("web:old"), InvalidRequest, id="B11 Basic and assertion"),
    pytest.param({"client_secret": SECRET}, basic("web:old"), InvalidRequest, id="B11 two methods"),
    pytest.param({"client_id": "game"}, basic("web:old"), InvalidRequest, id="B11 two clients"),
    pytest.param({}, "Basic !!!", InvalidClient, id="B12 no Base64"),
    pytest.param({}, basic(b"\xff:\xff"), InvalidClient, id="B12 no UTF-8"),
    pytest.param({}, basic("web"), InvalidClient, id="B12 no colon"),
    pytest.param({}, basic(":old"), InvalidClient, id="B12 empty id"),
    pytest.param({}, basic("web:"), InvalidClient, id="B12 empty secret"),
    pytest.param({}, "Bearer abc", InvalidClient, id="another scheme"),
    pytest.param({"client_id": "web", "client_secret": "\u00e9"}, "", InvalidClient, id="B13 non-ASCII secret"),
    pytest.param({"client_id": "web", "client_secret": "\ud800"}, "", InvalidClient, id="B13 lone surrogate"),
]


@pytest.mark.parametrize(("parameters", "authorization", "error"), BROKEN)
def test_whatever_is_wrong_with_a_client_is_one_error(
    parameters: dict[str, str], authorization: str, error: type[AuthsrvError]
) -> None:
    with pytest.raises(error):
        authenticate(parameters, authorization)


@pytest.mark.parametrize(("now", "works"), [(NOW - 1, True), (NOW, False), (NOW + 1, False)])
def test_a_secret_stops_to_work_at_the_second_in_which_it_expires(now: int, works: bool) -> None:
    request = {"client_id": "late", "client_secret": "older"}
    if works:
        assert authenticate(request, now=now).client.client_id == "late"
        return
    with pytest.raises(InvalidClient) as caught:
        authenticate(request, now=now)
    assert (caught.value.description, caught.value.detail) == (InvalidClient.text, "the secret has expired")


@pytest.mark.parametrize(
    "request_", [{"client_id": "web", "client_secret": "guess"}, {"client_id": "late"}, {"client_id": "nobody"}]
)
def test_the_log_tells_of_an_expired_secret_only_to_whom_had_it(request_: dict[str, str]) -> None:
    with pytest.raises(InvalidClient) as caught:
        authenticate(request_)
    assert caught.value.detail == ""


@pytest.mark.parametrize("presented", ["guess", "0", str(MOST_SECRETS - 1), "older"])
@pytest.mark.parametrize("client_id", ["web", "late", "full", "nobody", "40"])
def test_B14_every_authentication_compares_as_often_whoever_it_is_about(
    monkeypatch: pytest.MonkeyPatch, client_id: str, presented: str
) -> None:
    compared: list[bytes] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(other)
        return one == other

    monkeypatch.setattr(clients, "compare_digest", compare)
    with suppress(InvalidClient):
        authenticate({"client_id": client_id, "client_secret": presented})
    assert len(compared) == MOST_SECRETS


def test_B14_unknown_client_and_wrong_secret_read_the_same() -> None:
    seen = set()
    for client_id in ("web", "nobody"):
        with pytest.raises(InvalidClient) as caught:
            authenticate({"client_id": client_id, "client_secret": "x"})
        seen.add((caught.value.description, caught.value.status, caught.value.reason))
    assert len(seen) == 1


def test_a_reload_replaces_every_client() -> None:
    registry = ClientRegistry([Client("old", PROJECT, "Old")])
    registry.replace([Client("new", PROJECT, "New")])
    assert registry.find("old", "standard") is None
    assert registry.find("new", "standard") is not None
