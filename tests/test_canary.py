"""The canary run: every secret that a scripted day of logins uses is looked for wherever it must not be."""

import base64
import json
import logging
import sqlite3
from collections.abc import AsyncIterator, Iterator
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from authsrv import log
from authsrv.account_models import Doer
from authsrv.accounts.forgetting import Order
from authsrv.app import World, create_app
from authsrv.config import Config
from authsrv.emulator.app import create_emulator
from authsrv.emulator.base import PLAYERS
from authsrv.emulator.playfab.emulator import PlayFabEmulator
from authsrv.models import TOKEN_EXCHANGE
from authsrv.platforms.base import Clock, PlatformSettings
from tests.support.browser import COOKIE, Browser
from tests.support.callbacks import pairs_of, way_back
from tests.support.connecting import credential
from tests.support.ending import FEED, REVOKE, introspect, made_of, revoke, with_everybody
from tests.support.exchange import ACCESS_TOKEN, ID_TOKEN, submitted
from tests.support.linking import code_of, to_confirm
from tests.support.outbound import OUTAGES, AsgiOutbound
from tests.support.residents import resident
from tests.support.server import (
    EMULATOR_NAMES,
    VERIFIER,
    ManualClock,
    Server,
    client,
    demo_config,
    emulators,
    launcher_request,
)
from tests.support.storage import migrated_file, rows

CLIENT_SECRET = "canary-secret-of-the-backend-client-0123"
PASSPHRASE = "canary-passphrase-of-the-key-ring-012345"


class Secrets(dict[str, str]):
    """Everything that must be seen nowhere, by what it is."""

    def spellings(self) -> Iterator[tuple[str, bytes]]:
        """Each secret as it is, percent-encoded, and in the two forms of Base64 and hex."""
        for name, text in self.items():
            raw = text.encode()
            yield name, raw
            yield f"{name}, quoted", httpx.QueryParams({"x": text}).__str__()[2:].encode()
            yield f"{name}, Base64", base64.b64encode(raw).rstrip(b"=")[:-1]
            yield f"{name}, hex", raw.hex().encode()

    def pieces(self) -> Iterator[tuple[str, bytes]]:
        """Two parts of each secret that is long, should only its ends have been cut off."""
        for name, text in self.items():
            if len(text) >= 40:
                yield f"{name}, middle", text[len(text) // 3 :][:24].encode()
                yield f"{name}, end", text[-24:].encode()


class Run:
    """A server on SQLite that logs everything into memory, and the secrets used so far."""

    def __init__(self, server: Server, directory: Path, sink: StringIO, pipeline: log.LogPipeline) -> None:
        self.server = server
        self.directory = directory
        self.secrets = Secrets({"client secret": CLIENT_SECRET, "passphrase": PASSPHRASE, "code verifier": VERIFIER})
        self.passing = Secrets()
        """What may be stored while a request waits, and is nobody else's to read in a log."""
        self._sink = sink
        self._pipeline = pipeline

    def logged(self) -> str:
        """All lines, after the writer has finished."""
        self._pipeline.stop()
        return self._sink.getvalue()

    def stored(self) -> bytes:
        """The bytes of the database and of every file beside it."""
        names = sorted(path.name for path in self.directory.iterdir())
        assert {"authsrv.db", "authsrv.db-wal", "authsrv.db-shm"} <= set(names)
        return b"".join((self.directory / name).read_bytes() for name in names)


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    sink = StringIO()
    before = {name: logging.getLogger(name).level for name in ("", *log.FLOORS, "uvicorn.error")}
    pipeline = log.configure(level="debug", sink=sink)
    clock = ManualClock()
    platforms = emulators(clock)
    playfab = PlayFabEmulator()
    emulator = create_emulator(list(platforms.values()), [playfab], clock=clock)
    block = demo_config(platforms, f"sqlite:///{migrated_file(tmp_path)}", keys={"passphrase": PASSPHRASE})
    with_everybody(block)
    block["projects"]["demo"]["clients"]["backend"]["secret"] = CLIENT_SECRET
    outbounds: dict[str, AsgiOutbound] = {}

    def connect(name: str, _: PlatformSettings, __: Clock) -> AsgiOutbound:
        return outbounds.setdefault(name, AsgiOutbound(emulator))

    app = create_app(Config.model_validate(block), World(clock=clock, connect=connect, emit=pipeline.emit))
    async with app.router.lifespan_context(app), client(app) as http:
        server = Server(app, http, clock, platforms, outbounds, emulator, playfab=playfab)
        found = Run(server, tmp_path, sink, pipeline)
        found.secrets |= platform_secrets(block)
        yield found
    pipeline.stop()
    _restore(before)


def _restore(levels: dict[str, int]) -> None:
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, log.PipelineHandler)]:
        root.removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def platform_secrets(block: dict[str, Any]) -> dict[str, str]:
    found = block["projects"]["demo"]["platforms"]
    return {
        "steam web api key": found["steam"]["web_api_key"],
        "steam ticket key": found["steam"]["encrypted_ticket_key"],
        "epic client secret": found["epicgames"]["client_secret"],
        "playfab secret key": block["projects"]["demo"]["playfab"]["secret_key"],
    }


def playfab_secrets(run: Run, access_token: str) -> dict[str, str]:
    """The session that an access token carries."""
    claims = run.server.claims(access_token)
    return {f"playfab {name} {claims['jti']}": claims[name] for name in ("session_ticket", "entity_token")}


async def log_in(run: Run, provider: str, player: str) -> None:
    """A login, its exchange and a refresh; then the same once more with everything that was used up."""
    server = run.server
    minted = server.mint(provider, player)
    request = {"nonce": f"canary-nonce-{provider}", "state": f"canary-state-{provider}"}
    code = await server.code(provider, minted, scope="openid offline playfab", **request)
    tokens = (await server.redeem(code)).json()
    refreshed = (await server.refresh(tokens["refresh_token"])).json()
    run.secrets |= {
        f"{provider} credential": minted.text,
        f"{provider} code": code,
        f"{provider} access token": tokens["access_token"],
        f"{provider} id_token": tokens["id_token"],
        f"{provider} refresh token": tokens["refresh_token"],
        f"{provider} second access token": refreshed["access_token"],
        f"{provider} second refresh token": refreshed["refresh_token"],
    }
    for answer in (tokens, refreshed):
        run.secrets |= playfab_secrets(run, answer["access_token"])
    await server.redeem(code)
    await server.silent(provider, minted, state="another-request", code_challenge="c" * 43)


async def meet_guests(run: Run) -> None:
    """A secret for a device, what it is good for, and the same secret where it does not belong."""
    server, text = run.server, (await run.server.http.post("/v1/guests", json={"client_id": "launcher"})).text
    secret = json.loads(text)["credential"]["value"]
    run.secrets["secret of a new guest"] = secret
    tokens = await server.login("guest", None, session_ticket=secret, scope="openid offline")
    run.secrets |= {f"{name} of a new guest": tokens[name] for name in ("access_token", "id_token", "refresh_token")}
    for body in ({"client_id": secret}, {"client_id": [secret]}, {"client_id": "launcher", secret: secret}, [secret]):
        await server.http.post("/v1/guests", json=body)
    await server.http.post(f"/v1/guests/{secret}", params={"secret": secret})
    for path in ("/oauth2/social/guest/cross_auth", "/api/oauth2/social/guest/cross_auth"):
        await server.http.get(path, params={**launcher_request(), "session_ticket": secret})
        await server.http.post(path, data={**launcher_request(), "session_ticket": f"{secret}="})


async def link_by_code(run: Run) -> None:
    """A code that a game redeems and one that a browser does, both where they belong and where they do not."""
    server, player = run.server, await resident(run.server, "steam", "cedar")
    code, browser = (await code_of(player)).code, Browser(run.server)
    sent = {"client_id": "launcher", "code": code}
    minted = server.mint("epicgames", "cedar")
    asked = {**sent, "provider": "epicgames", "credential": credential(minted)}
    token = (await server.http.post("/v1/me/links/redeem", json=asked)).json()["confirmation_token"]
    yes = {**sent, "confirm": True, "confirmation_token": token}
    for body in ({**yes, "code": token}, {**yes, token: code}, [token, code], yes, yes):
        await server.http.post("/v1/me/links/redeem", json=body)
    second = (await code_of(player)).code
    confirm = await to_confirm(browser, second, "xbox", "amber")
    await browser.press(confirm, "link")
    for text in (second, token):
        await browser.open(f"/link/{text}", code=text, request=text)
        await browser.post("/link", {"code": text, "request": text})
    run.secrets |= {"credential of a link": minted.text, "confirmation token": token}
    run.secrets |= {"access token of a link": player.tokens["access_token"]}
    for number, text in enumerate((code, second)):
        run.secrets |= {f"link code {number}": text, f"letters of link code {number}": text.replace("-", "")}


async def exchange_tokens(run: Run, provider: str, player: str) -> None:
    """Tokens for a credential, a repeat, a backend that acts, an id_token for others; then what no exchange takes."""
    server, minted, nonce = run.server, run.server.mint(provider, player), f"canary-nonce-of-an-exchange-{provider}"
    credential = submitted(provider, minted)
    by_game = {"client_id": "launcher", "grant_type": TOKEN_EXCHANGE}
    backend = {"client_id": "backend", "client_secret": CLIENT_SECRET, "grant_type": TOKEN_EXCHANGE}
    tokens = (await server.token(**by_game, **credential, scope="openid offline playfab", nonce=nonce)).json()
    again = (await server.token(**by_game, **credential, scope="openid offline", nonce=nonce)).json()
    own = (await server.token(**backend | {"grant_type": "client_credentials"})).json()["access_token"]
    subject = {"subject_token": again["access_token"], "subject_token_type": ACCESS_TOKEN}
    acting = await server.token(**backend, **subject, actor_token=own, actor_token_type=ACCESS_TOKEN)
    wanted = {"requested_token_type": ID_TOKEN, "audience": "https://mod.io"}
    for_others = await server.token(**by_game, **subject, **wanted)
    given = {"token of an actor": own, "acting token": acting.json()["access_token"]}
    given["id_token for others"] = for_others.json()["access_token"]
    for name, answer in (("exchanged", tokens), ("repeated", again)):
        given |= {f"{name} {kind}": answer[kind] for kind in ("access_token", "id_token", "refresh_token")}
    run.secrets |= {f"{provider} credential of an exchange": minted.text, f"{provider} nonce of an exchange": nonce}
    run.secrets |= {f"{provider} {name}": text for name, text in given.items()}
    run.secrets |= playfab_secrets(run, tokens["access_token"])
    await server.token(**by_game, **credential, nonce="canary-nonce-of-a-thief")
    for text in (minted.text, nonce, *given.values()):
        for kind in (ACCESS_TOKEN, ID_TOKEN, credential["subject_token_type"], text[:1000]):
            await server.token(**by_game, subject_token=text, subject_token_type=kind, nonce=text[:500])
            shown = {"subject_token": text, "subject_token_type": kind}
            await server.token(**backend, **shown, actor_token=text, actor_token_type=ACCESS_TOKEN)
        await server.token(**by_game, **subject, audience=text, scope=text, requested_token_type=text)
        await server.http.post("/oauth2/token", params={"subject_token": text, "actor_token": text})


async def sign_in(run: Run, platform: str, player: str) -> None:
    """A sign-in in a browser, its tokens, a logout; then everything that was used up once more."""
    browser = Browser(run.server)
    client = {"state": f"canary-state-of-{platform}", "nonce": f"canary-nonce-of-{platform}"}
    hint = f"canary-{platform}@players.example"
    begun = await browser.authorize(**client, login_hint=hint)
    own, first_cookie = begun.forms[0].fields, browser.cookies[COOKIE]
    departed = await browser.post(f"/login/{platform}", own)
    callback = await way_back(browser, begun, platform, player)
    landed = await browser.open(callback)
    tokens = await browser.exchanged(landed)
    await browser.userinfo(tokens["access_token"])
    shown = await browser.authorize(prompt="select_account", id_token_hint=tokens["id_token"])
    back = dict(pairs_of(callback))
    run.passing |= {f"{platform} {name}": text for name, text in client.items()}
    run.secrets |= {f"{platform} {name} in the browser": tokens[name] for name in ("access_token", "id_token")}
    run.secrets |= {f"{platform} {name}": back[name] for name in BROUGHT_BACK if name in back}
    run.secrets |= {f"{platform} {name}": text for name, text in sent_along(departed).items()}
    run.secrets |= {
        f"{platform} login_hint": hint,
        f"{platform} code of the browser": landed.query["code"],
        f"{platform} first cookie": first_cookie,
        f"{platform} second cookie": browser.cookies[COOKIE],
        f"{platform} form": own["csrf"],
        f"{platform} second form": shown.forms[0].fields["csrf"],
        f"{platform} request": own["request"],
    }
    await browser.open(callback)
    await browser.press(begun, "cancel")
    await browser.redeem(landed.query["code"])
    await browser.open("/oauth2/logout", id_token_hint=tokens["id_token"])
    browser.cookies[COOKIE] = first_cookie
    await browser.open("/login", request=own["request"])


BROUGHT_BACK = ("state", "code", "openid.sig", "openid.response_nonce")
SENT_ALONG = ("state", "nonce", "code_challenge")


def sent_along(departed: httpx.Response) -> dict[str, str]:
    """The secrets of a trip that its address at the platform holds."""
    query = httpx.URL(departed.headers["location"]).params
    return {f"{name} sent along": query[name] for name in SENT_ALONG if name in query}


async def end_tokens(run: Run) -> None:
    """A login whose tokens are asked about, exchanged and given up, each more than once."""
    server = run.server
    tokens = await server.login("steam", server.mint("steam", "birch"))
    backend = {"client_id": "backend", "client_secret": CLIENT_SECRET}
    made = (await made_of(server, tokens["access_token"], client_secret=CLIENT_SECRET)).json()
    run.secrets |= {f"{name} that is given up": tokens[name] for name in ("access_token", "refresh_token", "id_token")}
    run.secrets["token made by exchange"] = made["access_token"]
    for text in (made["access_token"], tokens["access_token"], tokens["refresh_token"], tokens["id_token"]):
        assert (await introspect(server, text, client_secret=CLIENT_SECRET)).status_code == 200
        await revoke(server, text, **backend)
        await revoke(server, text)
        await revoke(server, text, token_type_hint="refresh_token")
        await introspect(server, text, client_secret=CLIENT_SECRET)
    await server.http.get(FEED)


async def misbehave_in_browsers(run: Run) -> None:
    """Every secret where a browser brings something else."""
    browser = Browser(run.server)
    for text in [*run.secrets.values(), *run.passing.values()]:
        if "\n" in text or len(text) > 6000:
            continue
        await browser.get("/login", request=text)
        await browser.get("/login/steam/callback", **{"state": text, "code": text, "openid.sig": text})
        await browser.get("/oauth2/authorize", client_id=text, state=text, id_token_hint=text)
        await browser.get("/oauth2/authorize", **(browser.request | {"id_token_hint": text}))
        await browser.get("/oauth2/authorize", **(browser.request | {"claims": text}))
        await browser.get("/oauth2/logout", id_token_hint=text, client_id=text)
        await browser.post("/login", {"request": text, "csrf": text, "session": text, "decision": text})
        await browser.post(f"/login/{text.replace('/', '_')}", {"request": text, "csrf": text})
        await browser.post("/oauth2/logout/confirm", {"request": f"id_token_hint={text}", "csrf": text})
        await browser.userinfo(text)
        browser.cookies = {COOKIE: text}
        await browser.get("/login")


async def misbehave(run: Run) -> None:
    """Every secret in a place where it does not belong: addresses, wrong parameters, broken requests."""
    server, secrets = run.server, run.secrets
    for text in list(secrets.values()):
        if "\n" in text or len(text) > 6000:
            continue
        await server.http.get("/nowhere", params={"code": text, "session_ticket": text})
        await server.http.get(
            "/oauth2/social/steam/cross_auth", params={"session_ticket": text, "client_id": "launcher"}
        )
        await server.http.post("/oauth2/token", params={"client_secret": text})
        await server.token(grant_type="authorization_code", client_id="launcher", code=text, code_verifier=text)
        await server.token(grant_type="refresh_token", client_id="launcher", refresh_token=text)
        await server.token(grant_type="client_credentials", client_id="backend", client_secret=text)
        await server.silent("steam", None, session_ticket=text, state=f"misbehaving-{len(text)}")
        await server.silent("epicgames", None, session_ticket=text, credential_type="id_token")
        await server.silent("xbox", None, session_ticket=text)
        await server.silent("guest", None, session_ticket=text)
        await revoke(server, text, token_type_hint=text)
        await revoke(server, "x", client_id=text, client_secret=text)
        await server.http.post(f"{REVOKE}?token={quote(text)}", data={"client_id": "launcher"})
        await server.http.get(f"{FEED}?token={quote(text)}", headers={"if-none-match": f'"{quote(text)}"'})
        await introspect(server, text, client_secret=CLIENT_SECRET, token_type_hint=text)
        await introspect(server, text, client_secret=text)
        basic = base64.b64encode(f"backend:{text}".encode()).decode()
        await server.http.post(
            "/oauth2/token", data={"grant_type": "client_credentials"}, headers={"authorization": f"Basic {basic}"}
        )


async def break_platforms(run: Run) -> None:
    """Outages of every kind, each met with a good credential."""
    for provider in EMULATOR_NAMES:
        outbound = run.server.outbounds[provider]
        for outage in OUTAGES:
            outbound.outage = outage
            minted = run.server.mint(provider, "cedar")
            run.secrets[f"{provider} credential during {outage}"] = minted.text
            await run.server.silent(provider, minted)
        outbound.outage = None


async def break_playfab(run: Run) -> None:
    """A login with each answer of PlayFab, the ones that repeat what was sent among them."""
    for case in run.server.playfab.cases:
        if case == "hang":
            continue
        run.server.playfab.meet(case)
        run.server.clock.now += 61
        tokens = await run.server.login("steam", run.server.mint("steam", "cedar"), scope="openid offline playfab")
        run.secrets[f"access token with {case}"] = tokens["access_token"]
        if "entity_token" in run.server.claims(tokens["access_token"]):
            run.secrets |= playfab_secrets(run, tokens["access_token"])
    run.server.playfab.meet("good")


async def play(run: Run) -> None:
    for platform, player in (("steam", "birch"), ("xbox", "cedar"), ("epicgames", "amber")):
        await sign_in(run, platform, player)
    await meet_guests(run)
    await link_by_code(run)
    for provider, player in (("steam", "amber"), ("xbox", "birch"), ("epicgames", "cedar"), ("guest", "amber")):
        await log_in(run, provider, player)
        await exchange_tokens(run, provider, player)
    own = await run.server.token(grant_type="client_credentials", client_id="backend", client_secret=CLIENT_SECRET)
    run.secrets["token of a client"] = own.json()["access_token"]
    await end_tokens(run)
    await break_platforms(run)
    await misbehave(run)
    await misbehave_in_browsers(run)
    await break_playfab(run)


async def test_I08_I03_I02_no_secret_is_logged_even_at_debug_level(run: Run) -> None:
    await play(run)
    logged = run.logged().encode()
    assert logged.count(b'"event": "request"') > 100
    assert b"login.succeeded" in logged
    assert b"session.started" in logged
    assert b"token.revoked" in logged
    assert b"no PlayFab session" in logged
    assert b"token.exchanged" in logged
    assert [name for name, spelling in run.secrets.spellings() if spelling in logged] == []
    assert [name for name, spelling in run.passing.spellings() if spelling in logged] == []
    assert [name for name, piece in run.secrets.pieces() if piece in logged] == []


async def test_G01_G02_no_secret_stands_in_the_database_or_beside_it(run: Run) -> None:
    await play(run)
    stored = run.stored()
    path = run.directory / "authsrv.db"
    assert rows(path, "SELECT count(*) >= 3 FROM players") == [(1,)]
    assert [name for name, spelling in run.secrets.spellings() if spelling in stored] == []


def personal(*players: str) -> dict[str, str]:
    """What platforms tell of these test players, by what it is."""
    told = ("steam_id", "partner_xuid", "xuid", "epic_account_id", "product_user_id", "display_name", "email")
    found = {f"{name} of {player}": str(getattr(PLAYERS[player], name)) for player in players for name in told}
    return {name: text for name, text in found.items() if text}


async def test_P05_I08_when_everybody_was_erased_nothing_of_anybody_is_left_anywhere(run: Run) -> None:
    """Not in the database, its log, the ledger, nor in what was logged, at debug level too."""
    for platform, player in (("steam", "amber"), ("xbox", "birch"), ("epicgames", "cedar")):
        await sign_in(run, platform, player)
        await log_in(run, platform, player)
        await exchange_tokens(run, platform, player)
    everybody, path = Secrets(personal("amber", "birch", "cedar")), run.directory / "authsrv.db"
    stored = run.stored()
    assert [
        name
        for name, text in everybody.items()
        if name.startswith(("steam_id of amber", "display")) and text.encode() not in stored
    ] == []
    subs = [str(sub) for (sub,) in rows(path, "SELECT sub FROM players")]
    for sub in subs:
        await run.server.app.desk.forgetting.erase(sub, Order(Doer("admin", "otto"), "asked by letter"))
    left = run.stored()
    assert [name for name, spelling in everybody.spellings() if spelling in left] == []
    assert rows(path, "SELECT count(*) FROM players") == [(0,)]
    assert [sub for sub in subs if sub.encode() not in (path.with_name("authsrv.db.erasures")).read_bytes()] == []
    logged = run.logged().encode()
    assert logged.count(b"player.erased") == len(subs) == 3
    assert [name for name, spelling in everybody.spellings() if spelling in logged] == []


async def test_G03_the_signing_keys_rest_sealed(run: Run) -> None:
    assert rows(run.directory / "authsrv.db", "SELECT DISTINCT sealed FROM keys") == [(1,)]


async def test_I01_what_stands_in_an_address_is_not_logged(run: Run) -> None:
    query = "code=canary-1&state=canary-2&session_ticket=canary-3&openid.sig=canary-4&anything=canary-5"
    for path in ("/oauth2/social/steam/cross_auth", "/oauth2/token", "/callback", "/api/blank", "/demo/callback"):
        await run.server.http.get(f"{path}?{query}")
    logged = run.logged()
    assert logged.count('"event": "request"') == 5
    assert "canary-" not in logged


@pytest.mark.parametrize(
    ("name", "floor"),
    [("authlib", logging.INFO), ("httpx", logging.WARNING), ("httpcore", logging.WARNING), ("aiosqlite", logging.INFO)],
)
@pytest.mark.usefixtures("run")
def test_I02_I03_libraries_that_print_secrets_are_not_heard_below_their_floor(name: str, floor: int) -> None:
    assert logging.getLogger(name).getEffectiveLevel() >= floor
    assert not logging.getLogger(f"{name}.child").isEnabledFor(floor - 1)


async def test_I04_a_fault_of_ours_tells_the_client_a_reference_and_nothing_else(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = await run.server.code("steam")

    async def broken(_: int) -> None:
        raise sqlite3.OperationalError(f"no such column: {code}")

    monkeypatch.setattr(run.server.app.storage, "load_grant", broken)
    http = httpx.AsyncClient(
        transport=httpx.ASGITransport(run.server.app, raise_app_exceptions=False),
        base_url=str(run.server.http.base_url),
    )
    async with http:
        answer = await http.post(
            "/oauth2/token", data={"grant_type": "authorization_code", "client_id": "launcher", "code": code}
        )
    assert answer.status_code == 500
    assert answer.json().keys() == {"error", "error_description", "reference"}
    logged = run.logged()
    assert answer.json()["reference"] in logged
    assert "OperationalError" in logged
    assert code not in logged
