"""Launchers that talk as the SDKs do: Unity's and Unreal's way to write addresses, to read answers and to see errors.

They send bytes as those SDKs do, unencoded, and understand an answer only as far as those do.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import httpx

from tests.support.browser import Browser
from tests.support.server import Server
from tests.support.wire import Answer, ask
from tests.support.xsolla import STATE, is_error_to_unity

Pairs = list[tuple[str, str]]
UNITY_DEFAULT = "https://login.xsolla.com/api/blank"
LOOPBACK = "http://localhost:65421"


class SdkError(Exception):
    """What an SDK tells its game: the `code` of an error that it understood, or that it understood nothing."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


@dataclass
class Sdk:
    """What both have in common. `tokens` are those it keeps."""

    server: Server
    client_id: int
    tokens: dict[str, Any] = field(default_factory=dict)

    appended: Pairs = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def access_token(self) -> str:
        token: str = self.tokens["access_token"]
        return token

    async def me(self) -> dict[str, Any]:
        """The player of the token it keeps."""
        found = self.read(await self.get("/api/users/me", [], bearer=True))
        assert isinstance(found["id"], str)
        return found

    async def logout(self) -> None:
        """Unity's default, and Unreal's."""
        answer = await self.get("/api/oauth2/logout", [("sessions", "all")], bearer=True)
        if answer.status != 204:
            self.read(answer)

    async def redeem(self, code: str, redirect_uri: str) -> None:
        """Keep the tokens for a code."""
        grant = [("client_id", str(self.client_id)), ("grant_type", "authorization_code"), ("code", code)]
        self.keep(await self.post("/api/oauth2/token", [*grant, ("redirect_uri", redirect_uri)]))

    async def refresh(self, redirect_uri: str) -> None:
        """Keep the tokens for the refresh token it has; the redirect URI is that of the settings."""
        grant = [("client_id", str(self.client_id)), ("grant_type", "refresh_token")]
        token = ("refresh_token", self.tokens["refresh_token"])
        self.keep(await self.post("/api/oauth2/token", [*grant, token, ("redirect_uri", redirect_uri)]))

    def keep(self, answer: Answer) -> None:
        """All four members must be there, of their types."""
        found = self.read(answer)
        kinds = {"access_token": str, "token_type": str, "expires_in": int, "refresh_token": str}
        assert all(type(found[name]) is kind for name, kind in kinds.items()), found
        self.tokens = found

    async def get(self, path: str, parameters: Pairs, *, bearer: bool = False) -> Answer:
        """A GET whose address is written as the SDK writes it: names and values as they are."""
        query = "&".join(f"{name}={value}" for name, value in [*parameters, *self.appended])
        return await ask(self.server.app, "GET", f"{path}?{query}".encode(), self._headers(bearer=bearer))

    async def post(self, path: str, form: Pairs) -> Answer:
        """A POST of a form, to an address with the SDK's additions."""
        query = "&".join(f"{name}={value}" for name, value in self.appended)
        own = [header for header in self._headers(bearer=False) if header[0] != b"content-type"]
        headers = [*own, (b"content-type", b"application/x-www-form-urlencoded")]
        return await ask(self.server.app, "POST", f"{path}?{query}".encode(), headers, self.form(form).encode())

    def form(self, pairs: Pairs) -> str:
        """The body of a form."""
        return urlencode(pairs)

    def read(self, answer: Answer) -> dict[str, Any]:
        """The object of an answer. Raises `SdkError` for what the SDK takes for an error."""
        raise NotImplementedError

    def _headers(self, *, bearer: bool) -> list[tuple[bytes, bytes]]:
        sent = [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
        return [*sent, (b"authorization", f"Bearer {self.access_token}".encode())] if bearer else sent


@dataclass
class Unity(Sdk):
    """Looks for words in bodies before anything else, and for the code by an expression of its own."""

    appended: Pairs = field(
        default_factory=lambda: [
            ("engine", "unity"),
            ("engine_v", "2021.3.12f1"),
            ("sdk", "store"),
            ("sdk_v", "1.3.6"),
            ("build_platform", "windows player"),
        ]
    )
    headers: dict[str, str] = field(default_factory=lambda: {"X-ENGINE": "UNITY", "X-SDK": "STORE", "X-SDK-V": "1.3.6"})

    async def log_in_silently(self, ticket: str, app_id: str) -> None:
        """A session ticket in hexadecimal; the code is redeemed with the address of the settings."""
        asked = [
            ("client_id", str(self.client_id)),
            ("response_type", "code"),
            ("state", STATE),
            ("redirect_uri", LOOPBACK),
            ("scope", "offline"),
            ("app_id", app_id),
            ("session_ticket", ticket),
            ("is_redirect", "false"),
        ]
        found = self.read(await self.get("/api/oauth2/social/steam/cross_auth", asked))
        await self.redeem(self.code_in(found["login_url"]), UNITY_DEFAULT)

    async def log_in(self, browser: Browser, player: str, case: str = "good") -> None:
        """Opens the address that redirects in a browser, and looks at where that ends."""
        asked = [
            ("client_id", str(self.client_id)),
            ("response_type", "code"),
            ("state", STATE),
            ("redirect_uri", LOOPBACK),
            ("scope", "offline"),
        ]
        query = "&".join(f"{name}={value}" for name, value in [*asked, *self.appended])
        there = await browser.open(f"/api/oauth2/social/steam/login_redirect?{query}")
        landed = await browser.press(there, player, case=case)
        await self.redeem(self.code_in(landed.url), LOOPBACK)

    def code_in(self, url: str) -> str:
        """The code of an address, or its error."""
        if found := re.search(r"[&?]error_code=([^&]*)", url):
            assert re.search(r"[&?]error_description=([^&]+)", url)
            raise SdkError(found[1])
        found = re.search(r"[&?]code=([\w.+-]+)", url)
        assert found, url
        return found[1]

    def read(self, answer: Answer) -> dict[str, Any]:
        """An error is what its words say, or any status but 200; then it is not understood."""
        text = answer.body.decode()
        if is_error_to_unity(text):
            raise SdkError(json.loads(text)["error"]["code"])
        if answer.status != 200:
            raise SdkError("unknown error")
        found: dict[str, Any] = json.loads(text)
        return found


@dataclass
class Unreal(Sdk):
    """Sends a type with every GET, opens what `login_url` gives, and takes decoded addresses apart."""

    port: int = 65421
    appended: Pairs = field(
        default_factory=lambda: [
            ("engine", "ue"),
            ("engine_v", "5.1.1-23901901+++UE5+Release-5.1"),
            ("sdk", "login"),
            ("sdk_v", "2.3.0"),
            ("ref", "custom"),
            ("ref_v", "1.0"),
        ]
    )
    headers: dict[str, str] = field(
        default_factory=lambda: {"Content-Type": "application/json", "X-ENGINE": "UE", "X-REF": "custom"}
    )

    async def log_in(self, browser: Browser, player: str, case: str = "good") -> None:
        """Asks for an address, opens it in a browser, and listens on a port of its own."""
        waiting_at = f"http://localhost:{self.port}"
        asked = [
            ("client_id", str(self.client_id)),
            ("response_type", "code"),
            ("redirect_uri", waiting_at),
            ("state", STATE),
            ("scope", "offline"),
        ]
        found = self.read(await self.get("/api/oauth2/social/steam/login_url", asked))
        there = await browser.open(found["url"].removeprefix(browser.issuer))
        landed = await browser.press(there, player, case=case)
        assert landed.url.startswith(f"{waiting_at}?")
        told = httpx.QueryParams(urlsplit(landed.url).query)
        if "code" not in told:
            assert told["error_description"]
            raise SdkError(told["error_code"])
        await self.redeem(told["code"], waiting_at)

    async def log_in_silently(self, ticket: str, app_id: str) -> None:
        """As Unity, but for the order, the scope and the way to find the code."""
        asked = [
            ("client_id", str(self.client_id)),
            ("response_type", "code"),
            ("redirect_uri", LOOPBACK),
            ("state", STATE),
            ("app_id", app_id),
            ("session_ticket", ticket),
            ("is_redirect", "false"),
        ]
        found = self.read(await self.get("/api/oauth2/social/steam/cross_auth", asked))
        await self.redeem(self.parameter("code", found["login_url"]), LOOPBACK)

    def parameter(self, name: str, url: str) -> str:
        """Of an address that is decoded as a whole before it is taken apart."""
        for pair in unquote(url).replace("?", "&").split("&"):
            if pair.startswith(f"{name}="):
                return pair.partition("=")[2]
        raise AssertionError(f"no {name} in {url}")

    def read(self, answer: Answer) -> dict[str, Any]:
        """A status below 300 with an object, or an error in the envelope."""
        try:
            found: dict[str, Any] = json.loads(answer.body)
        except ValueError:
            raise SdkError("unknown error") from None
        if answer.status >= 300:
            raise SdkError(found["error"]["code"])
        return found


@dataclass
class Ios(Unreal):
    """Reads as Unreal does here, and writes its forms unencoded."""

    def form(self, pairs: Pairs) -> str:
        """As they are."""
        return "&".join(f"{name}={value}" for name, value in pairs)
