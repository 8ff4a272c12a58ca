"""Redirect URIs: exact comparison, what may be registered, and how an answer is appended."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsrv.models import Client, Project
from authsrv.redirects import append_query, matches, registered_default, registration_problem

PROJECT = Project(key="skyforge", id="7b9d3c52-0000-4000-8000-000000000001", name="Skyforge")
WEB = Client(
    "shop", PROJECT, "Shop", redirect_uris=("https://client.example/cb", "https://client.example/cb?from=shop")
)
NATIVE = Client(
    "launcher",
    PROJECT,
    "Launcher",
    native=True,
    redirect_uris=("http://127.0.0.1/callback?x=1", "http://[::1]:4000/callback", "com.example.game:/cb"),
)
XSOLLA = Client("40", PROJECT, "Unity", profile="xsolla", redirect_uris=("http://localhost:65421",))


@pytest.mark.parametrize("uri", WEB.redirect_uris)
def test_a_registered_uri_matches(uri: str) -> None:
    assert matches(WEB, uri)


def test_A01_an_unregistered_redirect_is_refused() -> None:
    assert not matches(WEB, "https://evil.test/cb")


@pytest.mark.parametrize(
    "uri",
    [
        pytest.param("https://client.example/cb/", id="trailing slash"),
        pytest.param("https://client.example/cb?a=1", id="extra query"),
        pytest.param("https://client.example/cb?from=shop&a=1", id="longer query"),
        pytest.param("https://client.example/CB", id="case of the path"),
        pytest.param("https://Client.example/cb", id="case of the host"),
        pytest.param("HTTPS://client.example/cb", id="case of the scheme"),
        pytest.param("https://client.example/x/../cb", id="dot segments"),
        pytest.param("https://client.example/%2e%2e/cb", id="encoded dots"),
        pytest.param("https://client.example/%63b", id="encoded letter"),
        pytest.param("https://client.example:443/cb", id="default port"),
        pytest.param("https://client.example/cb;x", id="path parameter"),
        pytest.param("https://client.example/cb?", id="empty query"),
        pytest.param("https://client.example/c", id="prefix"),
        pytest.param("", id="empty"),
    ],
)
def test_A02_a_near_match_is_refused(uri: str) -> None:
    assert not matches(WEB, uri)


@pytest.mark.parametrize("uri", ["https://client.example@evil.test/cb", "http://localhost:80@evil.test/cb"])
@pytest.mark.parametrize("client", [WEB, NATIVE, XSOLLA], ids=lambda client: client.client_id)
def test_A03_userinfo_and_host_confusion_are_refused(client: Client, uri: str) -> None:
    assert not matches(client, uri)


@pytest.mark.parametrize("uri", ["https://user@client.example/cb", "https://user:pw@client.example/cb"])
def test_A03_userinfo_may_not_be_registered(uri: str) -> None:
    assert "user name" in _what(uri)


@pytest.mark.parametrize(
    "uri",
    [
        pytest.param("https:client.example/cb", id="no slashes"),
        pytest.param("https:\\\\client.example\\cb", id="backslashes"),
        pytest.param("//client.example/cb", id="no scheme"),
        pytest.param("https://client.example/\tcb", id="tab"),
        pytest.param("https://client.example/\ncb", id="newline"),
        pytest.param("https://client.example/cb\n", id="trailing newline"),
        pytest.param(" https://client.example/cb", id="leading space"),
        pytest.param("https://cli\u0435nt.example/cb", id="look-alike letter"),
        pytest.param("https://client.example\\@evil.test/cb", id="backslash and userinfo"),
    ],
)
def test_A04_parser_tricks_neither_match_nor_register(uri: str) -> None:
    assert not matches(WEB, uri)
    assert registration_problem(uri, native=True, xsolla=True)


def test_A07_only_a_single_registered_uri_is_a_default() -> None:
    assert registered_default(WEB) is None
    assert registered_default(Client("backend", PROJECT, "Backend")) is None
    assert registered_default(XSOLLA) == "http://localhost:65421"


def test_A08_a_fragment_neither_matches_nor_registers() -> None:
    assert not matches(WEB, "https://client.example/cb#x")
    assert "fragment" in _what("https://client.example/cb#x")


@pytest.mark.parametrize("uri", ["javascript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd"])
def test_A09_script_schemes_may_not_be_registered_by_anyone(uri: str) -> None:
    refusal = registration_problem(uri, native=True, xsolla=True)
    assert refusal
    assert "could run code" in refusal.what


@pytest.mark.parametrize("name", ["code", "state", "iss", "error", "response", "co%64e", "CODE"])
def test_A10_a_registered_uri_may_not_carry_parameters_of_the_answer(name: str) -> None:
    assert "query parameter named" in _what(f"https://client.example/cb?a=1&{name}=2")


@pytest.mark.parametrize(
    "uri",
    [
        pytest.param("http://127.0.0.1.evil.test:9/callback?x=1", id="longer host"),
        pytest.param("http://127.1/callback?x=1", id="short form"),
        pytest.param("http://0.0.0.0/callback?x=1", id="any address"),
        pytest.param("http://localhost/callback?x=1", id="name"),
        pytest.param("http://localhost:4000/callback", id="name with port"),
        pytest.param("http://127.0.0.1:9/other?x=1", id="other path"),
        pytest.param("http://127.0.0.1:9/callback?x=2", id="other query"),
        pytest.param("http://127.0.0.1:9/callback", id="no query"),
        pytest.param("http://127.0.0.1:9/callback?x=1#f", id="fragment"),
        pytest.param("http://127.0.0.1:9@evil.test/callback?x=1", id="userinfo"),
        pytest.param("https://127.0.0.1:9/callback?x=1", id="other scheme"),
        pytest.param("HTTP://127.0.0.1:9/callback?x=1", id="scheme case"),
        pytest.param("http://127.0.0.1:/callback?x=1", id="empty port"),
        pytest.param("http://127.0.0.1:0/callback?x=1", id="port zero"),
        pytest.param("http://127.0.0.1:65536/callback?x=1", id="port too large"),
        pytest.param("http://127.0.0.1:080/callback?x=1", id="port with zero in front"),
        pytest.param("http://127.0.0.1:٨٠/callback?x=1", id="foreign digits"),
        pytest.param("http://[::1]:9/callback?x=1", id="the other literal's path"),
        pytest.param("http://127.0.0.1:9/callback?x=1\n", id="trailing newline"),
    ],
)
def test_A11_only_the_port_of_a_loopback_literal_may_differ(uri: str) -> None:
    assert not matches(NATIVE, uri)


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:9/callback?x=1",
        "http://127.0.0.1:65535/callback?x=1",
        "http://[::1]/callback",
        "http://[::1]:1/callback",
    ],
)
def test_A11_a_native_client_may_use_any_port(uri: str) -> None:
    assert matches(NATIVE, uri)


def test_A11_a_client_that_is_not_native_has_fixed_ports() -> None:
    local = Client("local", PROJECT, "Local", redirect_uris=("http://127.0.0.1:9000/cb",))
    assert matches(local, "http://127.0.0.1:9000/cb")
    assert not matches(local, "http://127.0.0.1:9001/cb")


def test_the_xsolla_profile_may_use_any_port_of_a_registered_localhost_only() -> None:
    assert matches(XSOLLA, "http://localhost:65430")
    assert not matches(XSOLLA, "http://localhost:65430/")
    assert not matches(XSOLLA, "http://127.0.0.1:65421")
    loopback = Client("41", PROJECT, "Unity", profile="xsolla", redirect_uris=("http://127.0.0.1:1",))
    assert not matches(loopback, "http://127.0.0.1:2")


@given(position=st.integers(0, 60), inserted=st.text(min_size=1, max_size=3), cut=st.integers(0, 3))
def test_no_mutated_uri_ever_matches(position: int, inserted: str, cut: int) -> None:
    for uri in WEB.redirect_uris:
        mutated = uri[:position] + inserted + uri[position + cut :]
        assert matches(WEB, mutated) == (mutated in WEB.redirect_uris)


@given(position=st.integers(0, 40), inserted=st.text(min_size=1, max_size=3), cut=st.integers(0, 3))
def test_a_mutated_loopback_uri_matches_only_if_the_port_alone_changed(position: int, inserted: str, cut: int) -> None:
    uri = "http://[::1]:4000/callback"
    mutated = uri[:position] + inserted + uri[position + cut :]
    if not matches(NATIVE, mutated):
        return
    assert mutated.startswith("http://[::1]")
    assert mutated.endswith("/callback")
    assert mutated.removeprefix("http://[::1]").removesuffix("/callback").strip(":0123456789") == ""


@pytest.mark.parametrize(
    ("uri", "native", "xsolla"),
    [
        pytest.param("https://client.example", False, False, id="host only"),
        pytest.param("https://client.example:8443/cb?from=shop", False, False, id="port and query"),
        pytest.param("https://xn--bcher-kva.example/cb", False, False, id="international host"),
        pytest.param("https://[2001:db8::1]/cb", False, False, id="IPv6 host"),
        pytest.param("http://127.0.0.1/callback", False, False, id="loopback"),
        pytest.param("http://[::1]:8080/callback", True, False, id="IPv6 loopback"),
        pytest.param("com.example.game:/cb", True, False, id="private scheme"),
        pytest.param("com.example.game://cb", True, False, id="private scheme with authority"),
        pytest.param("http://localhost:65421", False, True, id="Xsolla loopback"),
        pytest.param("https://login.xsolla.com/api/blank", False, True, id="Xsolla default"),
        pytest.param("app://xlogin.com.example.game", True, True, id="Xsolla deep link"),
        pytest.param("https://client.example/cb?codex=1&mystate=2", False, False, id="similar parameters"),
    ],
)
def test_sound_redirect_uris_may_be_registered(uri: str, native: bool, xsolla: bool) -> None:
    assert registration_problem(uri, native=native, xsolla=xsolla) is None


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        pytest.param("https://*.client.example/cb", "wildcard", id="H01 wildcard host"),
        pytest.param("https://client.example/*", "wildcard", id="H01 wildcard path"),
        pytest.param("http://client.example/cb", "plain http", id="H01 http"),
        pytest.param("http://127.1/cb", "plain http", id="short loopback"),
        pytest.param("http://0.0.0.0/cb", "plain http", id="any address"),
        pytest.param("http://localhost:3000/cb", "localhost", id="localhost"),
        pytest.param("https://Client.example/cb", "valid host", id="upper-case host"),
        pytest.param("https:///cb", "valid host", id="no host"),
        pytest.param("https://client.example:99999/cb", "valid host and port", id="port"),
        pytest.param("https://client..example/cb", "valid host", id="empty label"),
        pytest.param("https://client.example/a/../cb", "segment", id="dot segment"),
        pytest.param("https://client.example/%2E%2e", "segment", id="encoded dot segment"),
        pytest.param("HTTPS://client.example/cb", "scheme in lower case", id="upper-case scheme"),
        pytest.param("/cb", "scheme", id="relative"),
        pytest.param("", "empty", id="empty"),
        pytest.param("https://client.example/%zz", "characters", id="bad percent"),
        pytest.param("https://client.example/" + "a" * 2048, "longer", id="too long"),
        pytest.param("com.example.game:/cb", "player's machine", id="private scheme of a web client"),
    ],
)
def test_unsound_redirect_uris_are_refused(uri: str, text: str) -> None:
    assert text in _what(uri)


def test_A12_a_private_scheme_needs_a_dot() -> None:
    refusal = registration_problem("mygame:/cb", native=True, xsolla=False)
    assert str(refusal) == (
        "any application could claim the scheme mygame:; "
        "name it after a domain of yours, in reverse: com.example.game:/callback (RFC 8252 section 7.1)"
    )
    assert registration_problem("app://xlogin.com.example.game", native=True, xsolla=False)


@given(st.text())
def test_F10_any_text_is_judged_and_never_repeated(text: str) -> None:
    refusal = registration_problem("https://client.example/" + text + "#canary-fragment", native=True, xsolla=True)
    assert refusal
    assert "canary" not in str(refusal)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        pytest.param("https://c.example/cb", "https://c.example/cb?code=a&state=b%20c", id="first"),
        pytest.param("https://c.example/cb?x=1", "https://c.example/cb?x=1&code=a&state=b%20c", id="further"),
        pytest.param("https://c.example/cb?", "https://c.example/cb?code=a&state=b%20c", id="empty query"),
        pytest.param("https://c.example/cb?x=1&", "https://c.example/cb?x=1&code=a&state=b%20c", id="open query"),
        pytest.param("com.example.game:/cb", "com.example.game:/cb?code=a&state=b%20c", id="private scheme"),
    ],
)
def test_parameters_are_appended_in_order(uri: str, expected: str) -> None:
    assert append_query(uri, [("code", "a"), ("state", "b c")]) == expected


def test_nothing_is_appended_for_no_parameters() -> None:
    assert append_query("https://c.example/cb", []) == "https://c.example/cb"


def test_A22_line_ends_are_percent_encoded() -> None:
    assert append_query("https://c.example/cb", [("state", "a\r\nSet-Cookie: x")]).endswith(
        "?state=a%0D%0ASet-Cookie%3A%20x"
    )


@given(st.lists(st.tuples(st.text(min_size=1), st.text()), min_size=1))
def test_appended_parameters_are_read_back_exactly(params: list[tuple[str, str]]) -> None:
    uri = append_query("https://c.example/cb?x=1", params)
    assert uri.isascii()
    assert parse_qsl(urlsplit(uri).query, keep_blank_values=True, strict_parsing=True) == [("x", "1"), *params]


def _what(uri: str) -> str:
    refusal = registration_problem(uri, native=False, xsolla=False)
    assert refusal
    return refusal.what
