"""The browser sign-in over a real socket: what a parser between the network and the endpoints could let through."""

import re
import socket
from collections.abc import Iterator
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest

from tests.support.browser import COOKIE, shop_request
from tests.support.serving import Place, emulator_running
from tests.support.storage import migrated_file

TIMEOUT = 20
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    keys = tmp_path_factory.mktemp("keys")
    with emulator_running(keys) as port:
        directory = tmp_path_factory.mktemp("server")
        migrated_file(directory)
        found = Place(directory, port, keys)
        with found.serving():
            yield found


def exchange(place: Place, data: bytes) -> bytes:
    """Everything that comes back until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", place.port), timeout=TIMEOUT) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def request(place: Place, method: str, target: str, *lines: bytes, body: bytes = b"", host: str = "") -> bytes:
    head = f"{method} {target} HTTP/1.1\r\nHost: {host or f'127.0.0.1:{place.port}'}\r\nConnection: close\r\n".encode()
    return head + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def shop(place: Place, **changes: str) -> str:
    """The shop's request, its values percent-encoded; `changes` are taken as they are."""
    fixed = {name: quote(str(value), safe="") for name, value in shop_request().items()}
    fixed["redirect_uri"] = quote(f"{place.issuer}/demo/callback", safe="")
    return "/oauth2/authorize?" + "&".join(f"{name}={value}" for name, value in (fixed | changes).items())


def head_of(answer: bytes) -> tuple[int, list[bytes]]:
    head, _, _ = answer.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    return int(status.split()[1]), lines


def values(answer: bytes, name: bytes) -> list[bytes]:
    found = (line.partition(b": ") for line in head_of(answer)[1])
    return [value for key, _, value in found if key.lower() == name]


INJECTIONS = [
    "a%0d%0aSet-Cookie:%20x=1",
    "a%0aX-Evil:1",
    "a%0d%0a%0d%0a%3Chtml%3E",
    "%E5%98%8A%E5%98%8DX-Evil:1",
    "a%0bb",
]


@pytest.mark.parametrize("state", INJECTIONS)
@pytest.mark.parametrize("changes", [{"response_type": "token"}, {"prompt": "none"}], ids=["refused", "silent"])
def test_A22_no_value_of_a_request_becomes_a_header_or_a_body(
    place: Place, state: str, changes: dict[str, str]
) -> None:
    answer = exchange(place, request(place, "GET", shop(place, state=state, **changes)))
    status, lines = head_of(answer)
    assert status == 302
    assert all(re.fullmatch(rb"[A-Za-z-]+: [ -~]+", line) for line in lines)
    assert values(answer, b"set-cookie") == values(answer, b"x-evil") == []
    (location,) = values(answer, b"location")
    assert parse_qs(urlsplit(location.decode()).query)["state"] == [unquote(state)]
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "line",
    [
        b"Cookie: %s=x\r\n %s=y",  # obs-fold
        b"Cookie : %s=x",
        b"Cookie: %s=x\0",
        b"Cookie: %s=x\rSet-Cookie: a=b",
    ],
)
def test_E03_a_header_that_two_readers_could_read_in_two_ways_is_refused(place: Place, line: bytes) -> None:
    answer = exchange(place, request(place, "GET", "/login", line.replace(b"%s", COOKIE.encode())))
    assert head_of(answer)[0] == 400


def test_E03_two_cookies_and_one_with_odd_white_space_are_a_strangers(place: Place) -> None:
    begun = exchange(place, request(place, "GET", shop(place)))
    assert head_of(begun)[0] == 302
    (line,) = values(begun, b"set-cookie")
    (location,) = values(begun, b"location")
    cookie, login = line.partition(b";")[0], location.decode().removeprefix(place.issuer)
    shown = {
        b"Cookie: " + cookie: 200,
        b"Cookie: a=b; " + cookie + b"; c=d": 200,
        b"Cookie: " + cookie + b"; " + cookie: 400,
        b"Cookie: " + cookie + b"\r\nCookie: " + cookie: 400,
        b"Cookie: \xa0" + cookie: 400,
        b"Cookie: a=b; \x85" + cookie: 400,
        b"X: y": 400,
    }
    assert {sent: head_of(exchange(place, request(place, "GET", login, sent)))[0] for sent in shown} == shown


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["/login", "/oauth2/authorize", "/oauth2/logout", "/login/steam/callback", "/account"])
def test_A42_other_methods_on_the_wire_are_refused_without_a_cookie(place: Place, path: str, method: str) -> None:
    target = shop(place) if path == "/oauth2/authorize" else path
    answer = exchange(place, request(place, method, target, b"X-HTTP-Method-Override: GET"))
    assert head_of(answer)[0] == 405
    assert values(answer, b"set-cookie") == []
    assert values(answer, b"allow") == [b"GET" if path.endswith("callback") else b"GET, POST"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.test", 421),
        ("127.0.0.1:1", 200),
        ("127.0.0.1:1@evil.test", 400),
        ("a/b?", 400),
        ("127.0.0.1\t.evil.test", 400),
    ],
)
def test_A39_the_host_decides_nothing_but_whether_there_is_an_answer(place: Place, host: str, status: int) -> None:
    answer = exchange(place, request(place, "GET", "/login", b"X-Forwarded-Host: evil.test", host=host))
    assert head_of(answer)[0] == status
    assert b"evil" not in answer


@pytest.mark.parametrize(
    "target", ["http://evil.test/login", "//evil.test/login", "/login/", "/login//", "/LOGIN", "/login;x"]
)
def test_A39_a_target_of_another_form_is_no_page_and_no_redirect(place: Place, target: str) -> None:
    answer = exchange(place, request(place, "GET", target))
    assert head_of(answer)[0] in {400, 404} or (target.startswith("http") and head_of(answer)[0] == 200)
    assert values(answer, b"location") == []
    assert b"evil" not in answer


def test_A23_raw_bytes_and_broken_escapes_in_a_query_are_answered(place: Place) -> None:
    for broken in (b"\xff", b"%", b"%zz", b"%00", b"\xc3\x28", b"%u0041"):
        for name in (b"client_id", b"state", b"request", b"prompt"):
            data = request(place, "GET", shop(place)).replace(b" HTTP", b"&" + name + b"=" + broken + b" HTTP", 1)
            assert head_of(exchange(place, data))[0] in {302, 400}
            login = request(place, "GET", "/login?").replace(b"? HTTP", b"?" + name + b"=" + broken + b" HTTP", 1)
            assert head_of(exchange(place, login))[0] in {200, 400}
