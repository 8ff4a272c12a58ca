import hashlib
from base64 import b64encode

import pytest

from authsrv.errors import AuthsrvError, InvalidClient, InvalidRequest
from authsrv.models import Client, Digest, Project
from authsrv.oauth.clients import ClientRegistry, authenticate, read

PROJECT = Project("p", "00000000-0000-0000-0000-000000000000", "P")
SECRET = "s3cret/with+odd=characters"


def digest(text: str) -> Digest:
    return Digest(hashlib.sha256(text.encode()).digest())


REGISTRY = ClientRegistry(
    [
        Client("web", PROJECT, "Web", secrets=(digest("old"), digest(SECRET))),
        Client("game", PROJECT, "Game"),
        Client("40", PROJECT, "Xsolla game", profile="xsolla"),
    ]
)


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
    proven = authenticate(REGISTRY, read(parameters, authorization), "standard")
    assert (proven.client.client_id, proven.method) == ("web", method)


def test_a_public_client_names_itself() -> None:
    assert authenticate(REGISTRY, read({"client_id": "game"}, ""), "standard").method == "none"


BROKEN = [
    pytest.param({"client_id": "web", "client_secret": "wrong"}, "", InvalidClient, id="wrong secret"),
    pytest.param({"client_id": "nobody", "client_secret": "x"}, "", InvalidClient, id="unknown client"),
    pytest.param({}, "", InvalidClient, id="no client at all"),
    pytest.param({"client_id": "web"}, "", InvalidClient, id="B17 confidential client as public"),
    pytest.param({"client_id": "game", "client_secret": "x"}, "", InvalidClient, id="public client with a secret"),
    pytest.param({"client_id": "40"}, "", InvalidClient, id="client of the other surface"),
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
        authenticate(REGISTRY, read(parameters, authorization), "standard")


def test_B14_unknown_client_and_wrong_secret_read_the_same() -> None:
    seen = set()
    for client_id in ("web", "nobody"):
        with pytest.raises(InvalidClient) as caught:
            authenticate(REGISTRY, read({"client_id": client_id, "client_secret": "x"}, ""), "standard")
        seen.add((caught.value.description, caught.value.status, caught.value.reason))
    assert len(seen) == 1


def test_a_reload_replaces_every_client() -> None:
    registry = ClientRegistry([Client("old", PROJECT, "Old")])
    registry.replace([Client("new", PROJECT, "New")])
    assert registry.find("old", "standard") is None
    assert registry.find("new", "standard") is not None
