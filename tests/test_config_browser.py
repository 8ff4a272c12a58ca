"""A client's settings for the sign-in in browsers: links, logout, response modes, and who has any use for them."""

from pathlib import Path

import pytest

from authsrv.config import ConfigError, load
from tests.support.configuration import (
    CLIENT,
    CONFIDENTIAL,
    HEAD,
    LONG,
    SERVER,
    WEB,
    XSOLLA,
    problems,
    set_environment,
    warnings,
    written,
)

DEV = "dev = true\n"
KEY = "projects.p.clients.web."


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            WEB
            + 'client_uri = "https://web.example"\n'
            + 'policy_uri = "https://web.example:8443/policy?lang=en#players"\n'
            + 'tos_uri = "https://xn--bcher-kva.example/terms%20of%20use"',
            id="links",
        ),
        *(
            pytest.param(WEB + f'client_uri = "https://web.example{rest}"', id=f"an @ after the host: {rest}")
            for rest in ("/@us", "?@us", "#@us")
        ),
        pytest.param(DEV + WEB + 'client_uri = "http://localhost:3000/"', id="http on localhost in development"),
        pytest.param(DEV + WEB + 'tos_uri = "http://[::1]"', id="http on IPv6 loopback in development"),
        pytest.param(WEB + 'initiate_login_uri = "https://web.example/login?from=us"', id="T3 initiation"),
        pytest.param(DEV + WEB + 'initiate_login_uri = "http://127.0.0.1:1/"', id="initiation in development"),
        pytest.param(WEB + 'post_logout_redirect_uris = ["https://web.example/", "https://b.example/"]', id="logout"),
        pytest.param(
            WEB + 'native = true\npost_logout_redirect_uris = ["com.example.game:/bye", "http://127.0.0.1:8400/bye"]',
            id="logout of a native client",
        ),
        pytest.param(WEB + 'frontchannel_logout_uri = "https://web.example/bye?a=1"', id="H3 front channel"),
        pytest.param(WEB + 'frontchannel_logout_uri = "https://web.example:443/bye"', id="H3 default port"),
        pytest.param(
            DEV + CLIENT + 'redirect_uris=["http://127.0.0.1:1/cb"]\nfrontchannel_logout_uri="http://127.0.0.1:1/bye"',
            id="front channel in development",
        ),
        pytest.param(WEB + 'response_modes = ["fragment", "form_post", "query"]', id="every response mode"),
        pytest.param(XSOLLA + "profile_in_id_token = true", id="id_token of the Xsolla profile"),
    ],
)
def test_sound_settings_are_read(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text) == []


def page(url: str) -> str:
    return WEB + f"policy_uri = '{url}'"


MISTAKES = [
    # addresses of pages
    pytest.param(page("http://web.example/p"), "policy_uri", "the address is on plain http", "use https", id="http"),
    pytest.param(
        page("http://127.0.0.1/p"), "policy_uri", "the address is on plain http", "dev = true", id="http on loopback"
    ),
    pytest.param(
        DEV + page("http://web.example/p"),
        "policy_uri",
        "the address is on plain http",
        "loopback",
        id="http elsewhere in development",
    ),
    pytest.param(
        DEV + page("http://localhost.example/p"),
        "policy_uri",
        "the address is on plain http",
        "loopback",
        id="a name that begins like loopback",
    ),
    pytest.param(page("https://me@web.example/"), "policy_uri", "the address has a user name", "the @", id="user"),
    pytest.param(
        page("https://me:pw@web.example"), "policy_uri", "the address has a user name", "the @", id="user and password"
    ),
    pytest.param(page("web.example/p"), "policy_uri", "this is no address of a web page", "https://", id="no scheme"),
    pytest.param(page("javascript:alert(1)"), "policy_uri", "this is no address of", "https://", id="script"),
    pytest.param(page("https://Web.example/"), "policy_uri", "this is no address of", "lower case", id="upper case"),
    pytest.param(page("https://web.example:0/"), "policy_uri", "this is no address of", "https", id="port 0"),
    pytest.param(page("https://web.example:65536/"), "policy_uri", "this is no address of", "https", id="high port"),
    pytest.param(page("https:///p"), "policy_uri", "this is no address of", "https", id="no host"),
    pytest.param(page("https://a..example/"), "policy_uri", "this is no address of", "https", id="empty label"),
    pytest.param(page("https://web.example/ü"), "policy_uri", "the address is longer", "percent-encoded", id="letter"),
    pytest.param(page("https://web.example/%zz"), "policy_uri", "the address is longer", "percent", id="percent sign"),
    pytest.param(
        page("https://web.example/" + "a" * 2029), "policy_uri", "the address is longer than 2048", "", id="too long"
    ),
    pytest.param(WEB + "client_uri = 'http://a.example'", "client_uri", "the address is on", "https", id="client_uri"),
    pytest.param(WEB + "tos_uri = 'http://a.example'", "tos_uri", "the address is on", "https", id="tos_uri"),
    # third-party initiated login
    pytest.param(
        WEB + "initiate_login_uri = 'http://web.example/login'",
        "initiate_login_uri",
        "the address is on plain http",
        "use https",
        id="T3 http",
    ),
    pytest.param(
        WEB + "initiate_login_uri = 'com.example.game:/login'",
        "initiate_login_uri",
        "this is no address of a web page",
        "write https",
        id="T3 private scheme",
    ),
    pytest.param(
        WEB + "initiate_login_uri = 'https://web.example/#login'",
        "initiate_login_uri",
        "the address has a fragment",
        "remove the #",
        id="T3 fragment",
    ),
    # logout
    pytest.param(
        WEB + "post_logout_redirect_uris = ['https://web.example/', 'http://web.example/']",
        "post_logout_redirect_uris[1]",
        "plain http",
        "use https",
        id="logout over http",
    ),
    pytest.param(
        WEB + "post_logout_redirect_uris = ['https://*.example/']",
        "post_logout_redirect_uris[0]",
        "the redirect URI has a wildcard",
        "list",
        id="L4 wildcard",
    ),
    pytest.param(
        WEB + "post_logout_redirect_uris = ['com.example.game:/bye']",
        "post_logout_redirect_uris[0]",
        "the scheme com.example.game: is for",
        "native = true",
        id="logout of a web client to a private scheme",
    ),
    pytest.param(
        WEB + "post_logout_redirect_uris = ['https://web.example/', 'https://web.example/']",
        "post_logout_redirect_uris[1]",
        "the redirect URI stands here twice",
        "remove one",
        id="logout twice",
    ),
    pytest.param(
        WEB + "frontchannel_logout_uri = 'https://web.example/bye#x'",
        "frontchannel_logout_uri",
        "the address has a fragment",
        "remove the #",
        id="front channel with a fragment",
    ),
    pytest.param(
        CLIENT + "redirect_uris=['http://127.0.0.1:1/cb']\nfrontchannel_logout_uri='http://127.0.0.1:1/bye'",
        "frontchannel_logout_uri",
        "the address is on plain http",
        "dev = true",
        id="front channel over http",
    ),
    pytest.param(
        WEB + "frontchannel_logout_uri = 'http://web.example/bye'",
        "frontchannel_logout_uri",
        "the address is on plain http",
        "use https",
        id="front channel over http, reported once",
    ),
    *(
        pytest.param(
            DEV + WEB + f"frontchannel_logout_uri = '{url}'",
            "frontchannel_logout_uri",
            "no redirect URI of the client has the scheme",
            "move the page",
            id=f"H3 other {what}",
        )
        for what, url in (
            ("host", "https://www.web.example/cb"),
            ("port", "https://web.example:8443/cb"),
            ("scheme", "http://localhost/cb"),
        )
    ),
    # response modes
    pytest.param(
        WEB + "response_modes = []", "response_modes", "the list of response modes is empty", "leave", id="no mode"
    ),
    pytest.param(
        WEB + "response_modes = ['query', 'form_post', 'query']",
        "response_modes[2]",
        "the response mode stands here twice",
        "remove",
        id="mode twice",
    ),
    pytest.param(
        WEB + "response_modes = ['web_message']",
        "response_modes[0]",
        "this is none of the possible values",
        "'query', 'fragment' or 'form_post'",
        id="unknown mode",
    ),
]


@pytest.mark.parametrize(("text", "key", "what", "remedy"), MISTAKES)
def test_each_mistake_is_one_problem_with_its_key_and_remedy(
    tmp_path: Path, text: str, key: str, what: str, remedy: str
) -> None:
    [problem] = problems(tmp_path, text)
    assert problem.key == KEY + key
    assert problem.what.startswith(what)
    assert remedy in problem.remedy


def test_an_address_is_never_repeated(tmp_path: Path) -> None:
    urls = ("http://canary.example", "https://canary@web.example", "https://CANARY.example", "https://canary.example/ü")
    for name in ("client_uri", "initiate_login_uri", "frontchannel_logout_uri"):
        for url in urls:
            assert problems(tmp_path, WEB + f"{name} = '{url}'")


STANDARD = {
    "client_uri": "'https://web.example'",
    "policy_uri": "'https://web.example'",
    "tos_uri": "'https://web.example'",
    "initiate_login_uri": "'https://web.example'",
    "response_modes": "['query']",
    "state": "'required'",
    "nonce": "'required'",
    "userinfo_alg": "'RS256'",
    "post_logout_redirect_uris": "['https://web.example/']",
    "backchannel_logout_uri": "'https://web.example/bye'",
    "backchannel_logout_session_required": "true",
    "frontchannel_logout_uri": "'https://web.example/bye'",
    "frontchannel_logout_session_required": "true",
    "refresh_ends_with_session": "true",
}


@pytest.mark.parametrize(("name", "value"), STANDARD.items())
def test_clients_of_the_xsolla_profile_have_no_settings_for_other_paths(tmp_path: Path, name: str, value: str) -> None:
    [problem] = problems(tmp_path, XSOLLA + f"{name} = {value}")
    assert problem.key == f"projects.p.clients.40.{name}"
    assert problem.what == 'a client with compat = "xsolla" works below /api only, where this has no effect'
    assert problem.remedy.startswith("remove it, or write a second client")


WITHOUT_PLAYERS = [
    pytest.param(SERVER, id="server"),
    pytest.param(
        CLIENT + "secret = { env = 'SECRET' }\ngrants = ['client_credentials']\n", id="confidential, by its grants"
    ),
]


@pytest.mark.parametrize("client", WITHOUT_PLAYERS)
@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, value in STANDARD.items() if name != "frontchannel_logout_uri"]
    + [("profile_in_id_token", "true")],
)
def test_clients_without_players_have_no_settings_about_them(
    tmp_path: Path, client: str, name: str, value: str
) -> None:
    [problem] = problems(tmp_path, client + f"{name} = {value}")
    assert (problem.key, problem.what, problem.remedy) == (
        KEY + name,
        "this client signs no players in, so this has no effect",
        "remove it",
    )


@pytest.mark.parametrize(
    ("text", "key", "what"),
    [
        pytest.param(
            CONFIDENTIAL + "response_modes = ['query', 'fragment']",
            "response_modes[1]",
            "a fragment never reaches the server",
            id="fragment of a confidential client",
        ),
        pytest.param(WEB + "first_party = false", "policy_uri", "players are asked to allow", id="no policy"),
    ],
)
def test_risks_are_warned_of(tmp_path: Path, text: str, key: str, what: str) -> None:
    [warning] = warnings(tmp_path, text)
    assert warning.key == KEY + key
    assert warning.what.startswith(what)
    assert warning.remedy


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(WEB + "response_modes = ['fragment']", id="fragment of a public client"),
        pytest.param(WEB + "first_party = false\npolicy_uri = 'https://web.example/p'", id="third party with policy"),
        pytest.param(SERVER + "first_party = false", id="third party without players"),
        pytest.param(XSOLLA + "first_party = false", id="third party of the Xsolla profile"),
    ],
)
def test_what_is_no_risk_is_not_warned_of(tmp_path: Path, text: str) -> None:
    assert warnings(tmp_path, text) == []


def test_what_could_not_be_read_is_reported_once(tmp_path: Path) -> None:
    text = f"{CLIENT}redirect_uris = 5\nfirst_party = false\nsecret = '{LONG}'\npolicy_uri = 5\nresponse_modes = 5\n"
    found = problems(tmp_path, DEV + text + "frontchannel_logout_uri = 'https://web.example/bye'")
    assert [problem.key for problem in found] == [
        KEY + name for name in ("redirect_uris", "policy_uri", "response_modes")
    ]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(WEB + "first_party = false\npolicy_uri = 5", id="policy"),
        pytest.param(HEAD + "[projects.p]\nplatforms = 5", id="platforms"),
    ],
)
def test_what_could_not_be_read_is_not_warned_of(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(written(tmp_path, text))
    assert len(refused.value.problems) == 1
    assert refused.value.warnings == []
