"""The emulated Xbox Live: Microsoft's key lists, a console that asks XSTS for our tokens, and the sign-in of browsers.

Owns the key routes, the minting and the counters. Tokens are made in `tokens.py`, the sign-in is in `login.py` and
`live.py`, the cases are listed in `cases.py` and `browser_cases.py`.
"""

import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from authsrv.emulator.base import MintedCredential, TestPlayer, UnknownCase
from authsrv.emulator.xbox.browser_cases import BROWSER_CASES
from authsrv.emulator.xbox.cases import CASES, make
from authsrv.emulator.xbox.keys import XboxKeys, certificate_pem, pem, x5t
from authsrv.emulator.xbox.live import XboxServices
from authsrv.emulator.xbox.login import CLIENT_ID, CLIENT_SECRET, MicrosoftLogin
from authsrv.emulator.xbox.tokens import RELYING_PARTY, TITLE, ClientSigner, XboxTokens

__all__ = ["XboxEmulator", "XboxKeys"]


class XboxEmulator:
    """Serves `/xbox/keys-host` (for xsts-keys.auth.xboxlive.com) and `/xbox/xsts` (for xsts.auth.xboxlive.com).

    `/xbox` itself stands for login.microsoftonline.com and user.auth.xboxlive.com.
    """

    name = "xbox"
    everywhere: Mapping[str, str] = MappingProxyType(
        {
            "expired": "expired",
            "forged": "bad-inner-signature",
            "other-app": "wrong-title",
            "replayed": "good",
            "banned": "missing-privileges",
        }
    )
    kinds: Sequence[str] = ("xsts_token",)
    cases: Mapping[str, str] = {
        **{name: case.about for name, case in CASES.items()},
        **{name: case.about for name, case in BROWSER_CASES.items()},
    }

    def __init__(self, *, keys: XboxKeys, clock: Callable[[], float] = time.time) -> None:
        self.keys = keys
        self.calls: Counter[str] = Counter()
        self._clock = clock
        self._published = [keys]
        self._login = MicrosoftLogin(clock, self.calls)
        self._services = XboxServices(self._login.who, lambda: self.tokens, clock, self.calls)

    @property
    def tokens(self) -> XboxTokens:
        """A factory for tokens of any kind, with the keys that XSTS signs with now."""
        return XboxTokens(self.keys, self._clock)

    def signer(self, clock: Callable[[], float] | None = None, *, version: int = 1) -> ClientSigner:
        """The console that the tokens are bound to. It signs a request; to be replayed, send that request twice."""
        return ClientSigner(self.keys.device_key, clock or self._clock, version)

    def rotate(self, *, keep_previous: bool = True) -> None:
        """Sign with new keys of XSTS from now on; the previous ones stay published if wished."""
        self.keys = self.keys.rotated()
        self._published = [self.keys, *(self._published if keep_previous else [])]

    def mint(self, player: TestPlayer, *, kind: str = "", case: str = "good") -> MintedCredential:
        """A fresh token, the full `XBL3.0 x=...;...` text, for the parameter `session_ticket`.

        The same text may travel as the header `Authorization` instead, alone or with `signer().sign(...)` as
        `Signature`. The cases that are about the signature itself travel only so, and fill `headers`.
        """
        if kind not in {"", *self.kinds}:
            raise UnknownCase(f"xbox mints {', '.join(self.kinds)} only")
        if case in BROWSER_CASES:
            raise UnknownCase(f"{case} shows itself in a browser: choose it on the emulated sign-in page")
        if case not in CASES:
            raise UnknownCase(f"xbox has no such case; choose one of: {', '.join(CASES)}")
        made = make(CASES[case], self.tokens, player, self._clock())
        headers = {"Authorization": made.text, "Signature": made.signature} if made.signature else {}
        parameters = {} if headers else {"session_ticket": made.text, "credential_type": self.kinds[0]}
        return MintedCredential(self.name, self.kinds[0], case, made.text, parameters, headers)

    def settings(self, base_url: str) -> dict[str, Any]:
        """The block `platforms.xbox` for a project in dev mode. Its policy lets every case show its refusal."""
        return {
            "relying_party": RELYING_PARTY,
            "rp_private_keys": [
                {"key": pem(self.keys.rp_key), "certificate": certificate_pem(self.keys.rp_certificate)}
            ],
            "allowed_titles": [TITLE],
            "min_age_group": "teen",
            "required_privileges": [254],
            "browser": {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "sandbox": "RETAIL"},
            "hosts": {
                "keys": f"{base_url}/xbox/keys-host",
                "xsts": f"{base_url}/xbox/xsts",
                "login": f"{base_url}/xbox",
                "user": f"{base_url}/xbox",
            },
        }

    def routes(self) -> list[BaseRoute]:
        """The key lists of both hosts, two that fail, and the sign-in in the browser."""
        return [
            Route("/xbox/keys-host/keys", self._jwks),
            Route("/xbox/keys-host/psskeys", self._jwks),
            Route("/xbox/keys-host/down", self._down),
            Route("/xbox/keys-host/garbage", self._garbage),
            Route("/xbox/xsts/xsts/signingkeys", self._signing_keys),
            Route("/xbox/xsts/xsts/certificates/{x5t}", self._certificate),
            *self._login.routes(),
            *self._services.routes(),
        ]

    async def _jwks(self, request: Request) -> JSONResponse:
        self.calls[request.url.path.rsplit("/", 1)[1]] += 1
        return JSONResponse({"keys": [jwk for keys in self._published for jwk in keys.jwks()]})

    async def _signing_keys(self, _: Request) -> JSONResponse:
        self.calls["signingkeys"] += 1
        certificates = (keys.certificate.public_bytes(Encoding.DER) for keys in self._published)
        return JSONResponse([b64encode(certificate).decode() for certificate in certificates])

    async def _certificate(self, request: Request) -> Response:
        self.calls["certificate"] += 1
        wanted = request.path_params["x5t"]
        found = {x5t(keys.certificate): certificate_pem(keys.certificate) for keys in self._published}
        return JSONResponse({wanted: found[wanted]}) if wanted in found else Response(status_code=404)

    async def _down(self, _: Request) -> Response:
        self.calls["down"] += 1
        return Response(status_code=503)

    async def _garbage(self, _: Request) -> Response:
        self.calls["garbage"] += 1
        return Response("<html>We are improving for you</html>", media_type="text/html")
