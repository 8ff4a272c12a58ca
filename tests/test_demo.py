"""The demo: its configuration, its pages, and one run from the first line to the last."""

import base64
import hashlib
import re
import shlex
import signal
import subprocess
import sys
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.applications import Starlette

from authsrv import config as configuration
from authsrv.config import Config
from authsrv.demo import curl, page, run
from authsrv.demo.pkce import Pkce
from authsrv.emulator.client import Credential
from authsrv.emulator.server import is_free, listen
from authsrv.models import TOKEN_EXCHANGE
from authsrv.platforms import PLATFORMS
from tests.support.processes import free_port, listens, running

PAGES = ("/demo", "/demo/privacy", "/demo/terms", "/demo/shop", "/demo/callback", "/demo/spa")
SCRIPTS = {"/demo/spa": ['<script type="module" src="/demo/spa.js">']}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration file of a demo on two free ports."""
    return run.prepare(free_port(), free_port(), tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def config(prepared: Path) -> Config:
    return configuration.load(prepared)


@pytest.fixture
def browser(config: Config, monkeypatch: pytest.MonkeyPatch) -> httpx.AsyncClient:
    """Reads the demo's pages; nobody listens at the emulator's port."""
    monkeypatch.setenv("EMULATOR_PORT", str(free_port()))
    app = Starlette(routes=page.routes(config))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=config.issuer)


def test_the_demo_has_a_client_of_every_kind_on_every_platform(config: Config) -> None:
    clients = config.clients()
    assert {name: (client.public, client.native, client.profile) for name, client in clients.items()} == {
        "launcher": (True, True, "standard"),
        "shop": (False, False, "standard"),
        "spa": (True, False, "standard"),
        "backend": (False, False, "standard"),
        "40": (True, True, "xsolla"),
    }
    assert clients["backend"].grant_types == {"client_credentials", TOKEN_EXCHANGE}
    assert (set(clients["backend"].exchange_from), clients["backend"].introspect) == ({"launcher"}, True)
    assert clients["launcher"].grant_types == {"authorization_code", "refresh_token", TOKEN_EXCHANGE}
    assert clients["spa"].cors_origins == {config.issuer}
    assert clients["shop"].redirect_uris == (
        f"{config.issuer}/demo/callback",
        "http://127.0.0.1:8080/demo/callback",
    )
    assert clients["shop"].links.initiate_login_uri == f"{config.issuer}/demo/shop/login"
    assert [clients[name].logout.post_logout_redirect_uris for name in ("shop", "spa")] == [
        (f"{config.issuer}/demo/shop",),
        (f"{config.issuer}/demo/spa",),
    ]
    assert set(config.projects["demo"].platforms) == set(PLATFORMS)


def test_what_the_demo_keeps_is_its_owners_alone(prepared: Path) -> None:
    assert prepared.parent.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o077 for path in prepared.parent.rglob("*")} == {0}


def test_the_demo_keeps_its_keys(prepared: Path) -> None:
    before = {path.name: path.read_bytes() for path in (prepared.parent / "emulator").iterdir()}
    run.prepare(free_port(), free_port(), prepared.parent)
    after = {path.name: path.read_bytes() for path in (prepared.parent / "emulator").iterdir()}
    assert after == before
    assert set(after) == {"steam.json", "xbox.json", "epic.json"}


@pytest.mark.parametrize("taken", [["PORT"], ["EMULATOR_PORT"], ["PORT", "EMULATOR_PORT"]])
def test_a_taken_port_is_named_with_a_command_that_works(taken: list[str], tmp_path: Path) -> None:
    first = next(one for one in range(20000, 30000) if all(is_free("127.0.0.1", one + i) for i in range(4)))
    ports = {"PORT": first, "EMULATOR_PORT": first + 1}
    with ExitStack() as stack:
        for name in taken:
            stack.enter_context(listen("127.0.0.1", ports[name])).listen()
        with pytest.raises(run.DemoError, match=rf"127\.0\.0\.1:{ports[taken[0]]} is taken") as refused:
            run.prepare(ports["PORT"], ports["EMULATOR_PORT"], tmp_path)
        advice = re.search(r"make run PORT=(\d+) EMULATOR_PORT=(\d+)$", str(refused.value))
        assert advice
        run.prepare(int(advice[1]), int(advice[2]), tmp_path)


def test_the_search_for_a_port_goes_on_from_the_first_one(tmp_path: Path) -> None:
    with listen("127.0.0.1", 65535) as listener:
        listener.listen()
        with pytest.raises(run.DemoError, match=r"make run PORT=\d{4,5} EMULATOR_PORT=8191$"):
            run.prepare(65535, 8191, tmp_path)


def test_one_port_for_both_is_refused(tmp_path: Path) -> None:
    with pytest.raises(run.DemoError, match="the same"):
        run.prepare(8080, 8080, tmp_path)


def test_a_command_survives_the_shell_whatever_the_credential_holds() -> None:
    hostile = 'it\'s "$(rm)" `x` \\ ; & | +/='
    proof = Credential(hostile, {"session_ticket": hostile}, {"Signature": hostile})
    command = curl.silent_login("http://127.0.0.1:8080", "steam", proof, Pkce.fresh(), "demo-state")
    words = shlex.split(command)
    assert words[:3] == ["curl", "-sS", "http://127.0.0.1:8080/oauth2/social/steam/cross_auth"]
    assert f"session_ticket={hostile}" in words
    assert f"Signature: {hostile}" in words


def test_the_challenge_of_the_login_fits_the_verifier_of_the_exchange() -> None:
    pkce = Pkce.fresh()
    digest = hashlib.sha256(pkce.verifier.encode()).digest()
    assert pkce.challenge == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert f"code_verifier={pkce.verifier}" in shlex.split(curl.exchange("http://127.0.0.1:8080", pkce))
    assert Pkce.fresh() != pkce


async def test_the_page_shows_clients_players_and_links(browser: httpx.AsyncClient, config: Config) -> None:
    text = (await browser.get("/demo")).text
    assert all(f"<code>{name}</code>" in text for name in (*config.clients(), "amber", "birch", "cedar"))
    assert 'href="/.well-known/openid-configuration"' in text
    assert 'href="/oauth2/jwks"' in text
    assert ".venv/bin/authsrv emulator ticket steam --player amber" in text
    assert f"{config.issuer}/v1/guests" in text


async def test_a_server_without_guests_offers_none(config: Config) -> None:
    without = config.model_copy(update={"projects": {}})
    app = Starlette(routes=page.routes(without))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=config.issuer) as elsewhere:
        assert "/v1/guests" not in (await elsewhere.get("/demo")).text


async def test_the_page_says_so_when_the_emulator_does_not_answer(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/demo")
    assert answer.status_code == 200
    assert "No command yet:" in answer.text


async def test_the_page_leads_to_the_sign_in_of_the_shop_and_to_the_application(browser: httpx.AsyncClient) -> None:
    text = (await browser.get("/demo")).text
    assert 'href="/demo/shop/login"' in text
    assert 'href="/demo/spa"' in text


async def test_the_address_without_a_path_leads_to_the_page(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/")
    assert (answer.status_code, answer.headers["location"]) == (302, "/demo")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/", *PAGES, "/demo/shop/login", "/demo/spa.js"])
async def test_a_page_under_the_hosts_other_name_leads_to_the_issuer(
    browser: httpx.AsyncClient, config: Config, method: str, path: str
) -> None:
    localhost = config.issuer.replace("127.0.0.1", "localhost")
    answer = await browser.request(method, f"{localhost}{path}?state=a%20b&iss=c%2Fd")
    assert (answer.status_code, answer.headers["location"]) == (302, f"{config.issuer}{path}?state=a%20b&iss=c%2Fd")
    bare = await browser.request(method, f"{localhost}{path}")
    assert bare.headers["location"] == f"{config.issuer}{path}"


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "localhost.example:{port}", "[::1]:{port}"])
async def test_no_other_host_leads_to_the_issuer(browser: httpx.AsyncClient, config: Config, host: str) -> None:
    named = host.format(port=config.issuer.rpartition(":")[2])
    assert (await browser.get("/demo/shop", headers={"Host": named})).status_code == 200


async def test_what_a_page_sends_is_not_led_elsewhere(browser: httpx.AsyncClient, config: Config) -> None:
    localhost = config.issuer.replace("127.0.0.1", "localhost")
    assert (await browser.post(f"{localhost}/demo/shop/logout")).status_code == 303


async def test_an_issuer_of_another_name_leads_nobody_away(config: Config) -> None:
    other = config.model_copy(update={"issuer": "http://localhost:8080"})
    app = Starlette(routes=page.routes(other))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=other.issuer) as elsewhere:
        assert (await elsewhere.get("/demo")).status_code == 200


async def test_every_link_on_a_page_leads_somewhere(browser: httpx.AsyncClient) -> None:
    paths = {path for page in PAGES for path in re.findall(r'href="(/demo[^"]*)"', (await browser.get(page)).text)}
    answers = {path: (await browser.get(path)).status_code for path in paths - {"/demo/shop/login"}}
    assert answers == dict.fromkeys(answers, 200)


async def test_a_configuration_without_the_demos_clients_has_neither_shop_nor_application(config: Config) -> None:
    other = config.model_copy(update={"issuer": "http://127.0.0.1:9"})
    app = Starlette(routes=page.routes(other))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=other.issuer) as elsewhere:
        assert "Sign in with the browser" not in (await elsewhere.get("/demo")).text
        for path in ("/demo/shop", "/demo/shop/login", "/demo/callback", "/demo/spa", "/demo/spa.js"):
            assert (await elsewhere.get(path)).status_code == 404


@pytest.mark.parametrize("path", PAGES)
async def test_pages_load_nothing_from_elsewhere_and_allow_one_style(browser: httpx.AsyncClient, path: str) -> None:
    answer = await browser.get(path)
    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert policy.startswith(
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; frame-ancestors 'none'; "
    )
    assert not re.search(r"<link|<img|<iframe|\bstyle=|url\(", answer.text)
    assert re.findall(r"<script.*?>|\bsrc=\S+", answer.text) == SCRIPTS.get(path, [])
    assert ("script-src" in policy) == (path in SCRIPTS)
    assert answer.headers["cache-control"] == "no-store"


def test_a_server_that_is_no_development_server_loads_nothing_of_the_demo() -> None:
    program = """
import asyncio, sys
from authsrv.app import create_app
from authsrv.config import Config
app = create_app(Config.model_validate({"issuer": "https://login.studio.example", "database": {"url": "memory://"}}))
async def serve():
    async with app.router.lifespan_context(app):
        print([name for name in sys.modules if name.startswith(("authsrv.demo", "authsrv.emulator"))])
asyncio.run(serve())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.timeout(180)
def test_one_run_of_the_demo_logs_in_everywhere_and_leaves_nothing_behind(tmp_path: Path) -> None:
    port, emulator_port = free_port(), free_port()
    with demo(port, emulator_port, tmp_path) as process:
        printed = announcement_of(process)
        secret = ask(command(printed, "/v1/guests"))["credential"]["value"]
        for provider in ("steam", "xbox", "epicgames", "guest"):
            login = send(command(printed, f"/oauth2/social/{provider}/cross_auth").replace(curl.SECRET, secret))
            query = parse_qs(urlsplit(login["login_url"]).query)
            assert list(query) == ["code", "state", "iss"]
            tokens = send(command(printed, "/oauth2/token").replace(curl.CODE, query["code"][0]))
            assert set(tokens) >= {"access_token", "refresh_token", "id_token"}
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    assert not listens(port)
    assert not listens(emulator_port)


@pytest.mark.timeout(180)
def test_the_emulator_ends_with_a_demo_that_was_killed(tmp_path: Path) -> None:
    port, emulator_port = free_port(), free_port()
    with demo(port, emulator_port, tmp_path) as process:
        announcement_of(process)
        assert listens(emulator_port)
        process.kill()
        process.wait(timeout=60)
        while listens(emulator_port):
            pass
    assert not listens(port)


def demo(port: int, emulator_port: int, state: Path) -> AbstractContextManager[subprocess.Popen[str]]:
    return running("demo", "--port", str(port), "--emulator-port", str(emulator_port), "--state", str(state / "demo"))


def announcement_of(process: subprocess.Popen[str]) -> str:
    """What the demo prints, up to its last line."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Page: "):
            return "".join(lines)
    pytest.fail("the demo ended:\n" + "".join(lines))


def command(printed: str, path: str) -> str:
    """The printed command for an address."""
    (found,) = [text for text in printed.split("\n\n") if text.startswith("curl ") and path in text]
    return found


def ask(text: str) -> dict[str, dict[str, str]]:
    """Do what the command says whose body is JSON."""
    words = shlex.split(text.replace("\\\n", ""))
    assert words[:2] + words[3:4] + words[5:6] == ["curl", "-sS", "-H", "-d"]
    name, _, value = words[4].partition(": ")
    answer = httpx.post(words[2], content=words[6], headers={name: value}, timeout=30)
    assert answer.status_code == 200, answer.text
    found: dict[str, dict[str, str]] = answer.json()
    return found


def send(text: str) -> dict[str, str]:
    """Do what the command says."""
    words = shlex.split(text.replace("\\\n", ""))
    assert words[1] == "-sS"
    fields = dict(word.split("=", 1) for word in words[4::2])
    assert set(words[3::2]) == {"--data-urlencode"}
    answer = httpx.post(words[2], data=fields, timeout=30)
    assert answer.status_code == 200, answer.text
    found: dict[str, str] = answer.json()
    return found
