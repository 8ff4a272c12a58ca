"""Rule 9b: Authlib's own `create_token_response` and our driver make the same of every token request.

Two servers have the same keys, the same randomness and the same rows, and hear the same requests one after the other:
one by our `TokenServer.token`, one by Authlib's method, which picks the grant, validates and builds by itself once the
grant was loaded. The tests hold that both give the same error with the same status or the same answer byte for byte,
that both collect the same changes, penalties and audit events, and that both end with the same rows. So our driver
neither drops a check or a hook of Authlib's nor decides anything itself.

Not compared is what Authlib lacks or what is ours in both: client authentication, rate limits, claims asked for
elsewhere, and the second attempt after a lost race. The authorization endpoint is not here: there we call Authlib.
"""

import asyncio
import os
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest
from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Error
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st

from authsrv.account_models import Doer, Ownership
from authsrv.audit import Audit
from authsrv.errors import AuthsrvError, InvalidGrant, UnsupportedGrantType, UnsupportedProvider
from authsrv.log import Event
from authsrv.models import TOKEN_EXCHANGE, AccountRules, Digest, IdentityKey
from authsrv.oauth.credentials import Redeemed
from authsrv.oauth.grants import GRANTS
from authsrv.oauth.grants.base import LoadingGrant
from authsrv.oauth.grants.exchange import ACCESS_TOKEN, ID_TOKEN
from authsrv.oauth.request import Attempt, GrantRequest, TokenGrantRequest, TokenRequest
from authsrv.oauth.server import TOKEN_PARAMETERS, TokenServer
from authsrv.platforms.base import PlatformIdentity, Submission
from authsrv.players import NewPlayer, Presence, SignIn, sign_in
from authsrv.storage.base import Storage
from authsrv.storage.changes import Change
from tests.support.oauth import (
    BACKEND,
    CALLBACK,
    LAUNCHER,
    SECRET,
    SENDER,
    VERIFIER,
    Bench,
    bench,
)
from tests.support.storage import NOW

MATCH, SHOP = "https://match.example", "https://shop.example"
STEAM = "urn:authsrv:params:oauth:token-type:steam:session_ticket"
RS256 = replace(LAUNCHER, access_token_alg="RS256", audiences=frozenset({MATCH}))  # signs the same text alike
CLIENTS = (
    RS256,
    replace(RS256, client_id="other", scopes=frozenset({"openid", "offline"})),
    replace(
        RS256,
        client_id="web",
        secrets=BACKEND.secrets,
        pkce_required=False,
        id_token_audiences=frozenset({"https://mods.example"}),
        exchange_from=frozenset({"launcher"}),
        grant_types=LAUNCHER.grant_types | {"client_credentials", TOKEN_EXCHANGE},
    ),
    replace(BACKEND, access_token_alg="RS256"),
)


@dataclass(frozen=True)
class Outcome:
    """What came of a request: an answer, or an error without one; and what was to be written and told."""

    status: int
    error: str
    answer: Mapping[str, Any] = field(default_factory=dict)
    collected: tuple[Change, ...] = ()
    audited: tuple[Event, ...] = ()


MARK = Digest(b"m" * 32)


class Vouching:
    """Platforms that vouch for whom a ticket names, if it begins with `good`."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def platform(self, attempt: Attempt) -> None:
        if attempt.provider != "steam":
            raise UnsupportedProvider

    async def redeem(self, _: Attempt, submitted: Submission, __: Digest, ___: int) -> Redeemed:
        if not submitted.value.startswith("good"):
            raise InvalidGrant(reason="credential_rejected")
        identity = PlatformIdentity("steam", "steam", "", submitted.value, "Amber")
        return Redeemed(identity, IdentityKey("skyforge", "steam", "", submitted.value), None)

    async def player(self, attempt: Attempt, redeemed: Redeemed, now: int, *, may_create: bool) -> SignIn:
        found, id_ = Ownership(await self._storage.load_player(redeemed.key)), self._storage.next_id()
        new = NewPlayer(id_, f"sub-{id_}", self._storage.next_id())
        doer = Doer("player", "", attempt.client.client_id)
        coming = Presence(redeemed.key, redeemed.identity.display_name, "", doer, now, MARK, AccountRules())
        return sign_in(coming, found, may_create=may_create, new=new)


class Ours(TokenServer):
    """Driven by us."""

    collected: tuple[Change, ...] = ()

    async def apply(self, changes: Sequence[Change]) -> None:
        self.collected = tuple(changes)
        await super().apply(changes)

    async def outcome(self, request: TokenRequest) -> Outcome:
        self.collected = ()
        try:
            found = Outcome(200, "", await self.token(request))
        except AuthsrvError as refused:
            found = Outcome(refused.status, refused.error)
        return replace(found, collected=self.collected)


class Authlibs(TokenServer):
    """Driven by Authlib, once the grant is loaded."""

    ready: LoadingGrant | None = None

    async def outcome(self, request: TokenRequest) -> Outcome:
        try:
            asked = self._asked(request, self.authenticate(request))
            self.ready = await self._prepared(asked)
            found: Outcome = AuthorizationServer.create_token_response(self, asked)
        except AuthsrvError as refused:  # Authlib lets the errors of our hooks through
            found = Outcome(refused.status, refused.error)
        grant, self.ready = self.ready, None
        return await self._settled(grant, found, request) if grant else found

    async def _prepared(self, asked: TokenGrantRequest) -> LoadingGrant | None:
        try:
            grant = self._grant_for(asked)
        except UnsupportedGrantType:
            return None  # which Authlib is to find by itself
        await grant.load(self.storage)
        return grant

    async def _settled(self, grant: LoadingGrant, found: Outcome, request: TokenRequest) -> Outcome:
        changes = grant.penalties if found.error else grant.changes
        await self.storage.apply(changes)
        self._note(grant, request)
        return replace(found, collected=tuple(changes))

    def get_token_grant(self, request: GrantRequest) -> LoadingGrant:
        found: LoadingGrant = super().get_token_grant(request)
        return self.ready if self.ready and type(self.ready) is type(found) else found

    def handle_response(self, status: int, body: Any, headers: Any) -> Outcome:  # noqa: ARG002 - Authlib's
        return Outcome(status, "", dict(body))

    def handle_error_response(self, request: GrantRequest, error: OAuth2Error) -> Outcome:  # noqa: ARG002 - Authlib's
        return Outcome(error.status_code, error.error)


@dataclass(frozen=True)
class Credential:
    """A code or token, and whose it is."""

    text: str
    client_id: str


@dataclass
class Twins:
    """Both servers. The credentials are those that stand in their rows or came in answers, alike in both."""

    ours: Bench
    authlibs: Bench
    events: tuple[list[Event], list[Event]]
    known: dict[str, list[Credential]]

    async def hear(self, sent: Mapping[str, str], authorization: str = "", after: int = 0) -> Outcome:
        """Let both answer a request, so many seconds after the last one."""
        request = TokenRequest({name: self.meant(text) for name, text in sent.items()}, authorization, SENDER)
        found = []
        for twin, events in zip((self.ours, self.authlibs), self.events, strict=True):
            events.clear()
            twin.clock.now += after
            assert isinstance(twin.server, Ours | Authlibs)
            found.append(replace(await twin.server.outcome(request), audited=tuple(events)))
        ours, authlibs = found
        assert ours == authlibs, request
        for name, kind in (("refresh_token", "refresh"), ("access_token", "access")):
            if name in ours.answer:
                self.known[kind].append(Credential(ours.answer[name], request.parameters.get("client_id", "web")))
        return ours

    def meant(self, text: str) -> str:
        """The credential behind a symbol like `code:2`; other texts are what they are."""
        kind, _, number = text.partition(":")
        return self.find(kind, int(number)).text if kind in self.known and number.isdigit() else text

    def find(self, kind: str, number: int) -> Credential:
        """The credential of a kind by its number, which goes round."""
        known = self.known[kind] or [Credential("none yet", "launcher")]
        return known[number % len(known)]

    def same_rows(self) -> bool:
        return self.ours.storage._tables == self.authlibs.storage._tables


async def twins() -> Twins:
    """Both with the same grants."""
    seed = os.urandom(8)
    ours, heard = await twin(Ours, seed)
    authlibs, heard_too = await twin(Authlibs, seed)
    for table in (ours, authlibs):
        codes = [await table.stands(**{"code_expires_at": NOW + 300, **fields}) for fields in CODES]
        renewable = [await table.stands_with_refresh_token(client_id=client_id) for client_id in ("launcher", "web")]
    known = {"code": codes, "refresh": renewable, "access": []}
    named = {kind: [Credential(one.text, grant.client_id) for grant, one in found] for kind, found in known.items()}
    return Twins(ours, authlibs, (heard, heard_too), named)


async def twin(kind: type[TokenServer], seed: bytes) -> tuple[Bench, list[Event]]:
    """One of them, and what it tells the log."""
    table, events = await bench(CLIENTS, kind, Random(seed).randbytes), list[Event]()  # noqa: S311 - the same for both
    table.server.audit = Audit(events.append, now=table.clock)
    table.server.proofs = Vouching(table.storage)  # type: ignore[assignment]  # what the grants ask of it
    return table, events


CODES: list[dict[str, object]] = [
    {},
    {"scope": ("openid",), "nonce": "n-1", "audience": (MATCH,)},
    {"client_id": "web", "code_challenge": ""},
    {"client_id": "web", "redirect_uri": "", "scope": ("offline", "gone")},
    {"client_id": "other", "scope": ("profile", "offline")},
    {"code_used_at": NOW},
    {"audience": (SHOP,)},
]
"""The grants whose codes stand in the rows, by what is special to them."""

GOOD: Mapping[str, Mapping[str, str]] = {
    "authorization_code": {"code": "code:0", "redirect_uri": CALLBACK, "code_verifier": VERIFIER},
    "refresh_token": {"refresh_token": "refresh:0"},
    "client_credentials": {"scope": "match:join"},
    "platform exchange": {"subject_token": "good 1", "subject_token_type": STEAM},
    "own exchange": {"subject_token": "access:0", "subject_token_type": ACCESS_TOKEN},
}
"""A good request of each grant, less the client."""

BY_CLIENT: Mapping[str, Mapping[str, str]] = {
    "launcher": {"client_id": "launcher"},
    "other": {"client_id": "other"},
    "web": {"client_id": "web", "client_secret": SECRET},
    "backend": {"client_id": "backend", "client_secret": SECRET},
}


def request_of(kind: str, client: str, **changes: str | None) -> dict[str, str]:
    """A request of a grant by a client; a parameter changed to None is left out."""
    grant_type = TOKEN_EXCHANGE if kind.endswith("exchange") else kind
    sent: dict[str, str | None] = {"grant_type": grant_type, **BY_CLIENT[client], **GOOD[kind], **changes}
    return {name: value for name, value in sent.items() if value is not None}


TEXTS = [
    None,
    *(f"{kind}:{number}" for kind in ("code", "refresh", "access") for number in range(8)),
    *("asc_" + "A" * 65, "asr_" + "A" * 65, "good 2", "bad", 'x"\\', "é", "x" * 300),
    *("openid", "openid offline", "offline openid profile", "profile", "openid admin", " ", "match:end"),
    *(CALLBACK, CALLBACK + "/x", VERIFIER, "w" * 43, "w" * 42, "true", MATCH, SHOP, f"{MATCH} {SHOP}", "no uri"),
    *(ACCESS_TOKEN, ID_TOKEN, STEAM, STEAM.replace("steam", "sony"), "launcher", "web", "backend", SECRET),
    *("authorization_code", "refresh_token", "client_credentials", "password", TOKEN_EXCHANGE, "https://mods.example"),
]
"""What parameters are changed to."""

CREDENTIAL = {"authorization_code": ("code", "code"), "refresh_token": ("refresh_token", "refresh"),
              "own exchange": ("subject_token", "access")}  # fmt: skip
CHANGES = st.dictionaries(st.sampled_from(sorted(TOKEN_PARAMETERS)), st.sampled_from(TEXTS), min_size=1, max_size=2)
BASIC = "Basic " + b64encode(f"web:{SECRET}".encode()).decode()


@dataclass(frozen=True)
class Step:
    """A request by the owner of its credential, or by `who`, so many seconds after the last one."""

    kind: str
    number: int
    who: str
    changes: Mapping[str, str | None]
    authorization: str
    after: int

    def request(self, both: Twins) -> dict[str, str]:
        """Good, but for the changes."""
        if self.kind not in CREDENTIAL:
            return request_of(self.kind, self.who or "web", **self.changes)
        parameter, kind = CREDENTIAL[self.kind]
        fitting: dict[str, str | None] = {parameter: f"{kind}:{self.number}"}
        if kind == "code" and "code_challenge" in CODES[self.number]:
            fitting["code_verifier"] = None
        owner = "web" if kind == "access" else both.find(kind, self.number).client_id
        return request_of(self.kind, self.who or owner, **{**fitting, **self.changes})


STEPS = st.builds(
    Step,
    kind=st.sampled_from(sorted(GOOD)),
    number=st.integers(0, len(CODES) - 1),
    who=st.sampled_from(["", "", "", "", "", "launcher", "web", "backend"]),
    changes=st.just({}) | st.just({"scope": "openid"}) | CHANGES,
    authorization=st.sampled_from(["", "", "", "", "", BASIC]),
    after=st.sampled_from([0] * 12 + [1, 29, 30, 60, 900, 86400]),
)


@settings(max_examples=40, deadline=None, phases=[Phase.generate])  # the request that differs is named as it is
@given(st.lists(STEPS, min_size=10, max_size=15))
def test_9b_our_driver_makes_of_every_request_what_authlibs_own_does(course: Sequence[Step]) -> None:
    asyncio.run(compare(course))


async def compare(course: Sequence[Step]) -> None:
    both = await twins()
    for step in course:
        outcome = await both.hear(step.request(both), step.authorization, step.after)
        event(outcome.error or step.kind)
        assert both.same_rows()


NAMED = [
    pytest.param("authorization_code", {}, "", id="code"),
    pytest.param("authorization_code", {"code": None}, "invalid_request", id="code missing"),
    pytest.param("authorization_code", {"code": "asc_" + "A" * 65}, "invalid_grant", id="code made up"),
    pytest.param("authorization_code", {"code": "refresh:0"}, "invalid_grant", id="refresh token as code"),
    pytest.param("authorization_code", {"client_id": "other"}, "invalid_grant", id="code of another client"),
    pytest.param("authorization_code", {"code": "code:5"}, "invalid_grant", id="code used before"),
    pytest.param("authorization_code", {"redirect_uri": None}, "invalid_grant", id="redirect URI missing"),
    pytest.param("authorization_code", {"redirect_uri": CALLBACK + "/x"}, "invalid_grant", id="redirect URI differs"),
    pytest.param("authorization_code", {"code_verifier": None}, "invalid_request", id="verifier missing"),
    pytest.param("authorization_code", {"code_verifier": "w" * 43}, "invalid_grant", id="verifier wrong"),
    pytest.param("authorization_code", {"code_verifier": "v" * 42}, "invalid_request", id="verifier short"),
    pytest.param("authorization_code", {"code": "code:6"}, "invalid_target", id="audience gone"),
    pytest.param("authorization_code", BY_CLIENT["backend"], "unauthorized_client", id="code grant not allowed"),
    pytest.param("refresh_token", {}, "", id="refresh"),
    pytest.param("refresh_token", {"scope": "openid"}, "", id="refresh narrowed"),
    pytest.param("refresh_token", {"scope": "openid admin"}, "invalid_scope", id="refresh widened"),
    pytest.param("refresh_token", {"refresh_token": None}, "invalid_request", id="refresh token missing"),
    pytest.param("refresh_token", {"refresh_token": "asr_" + "A" * 65}, "invalid_grant", id="refresh token made up"),
    pytest.param("refresh_token", {"refresh_token": "code:0"}, "invalid_grant", id="code as refresh token"),
    pytest.param("refresh_token", {"client_id": "other"}, "invalid_grant", id="refresh token of another client"),
    pytest.param("client_credentials", BY_CLIENT["backend"], "", id="client credentials"),
    pytest.param(
        "client_credentials", {**BY_CLIENT["backend"], "scope": "admin"}, "invalid_scope", id="a scope too many"
    ),
    pytest.param("client_credentials", {}, "unauthorized_client", id="client credentials not allowed"),
    pytest.param("platform exchange", BY_CLIENT["web"], "", id="platform exchange"),
    pytest.param("platform exchange", {**BY_CLIENT["web"], "subject_token": "bad"}, "invalid_grant", id="bad ticket"),
    pytest.param("platform exchange", {}, "unauthorized_client", id="exchange not allowed"),
    pytest.param("authorization_code", {"grant_type": "password"}, "unsupported_grant_type", id="unknown grant"),
]


@pytest.mark.parametrize(("kind", "changes", "error"), NAMED)
async def test_9b_request_by_request(kind: str, changes: dict[str, str | None], error: str) -> None:
    both = await twins()
    outcome = await both.hear(request_of(kind, "launcher", **changes))
    assert outcome.error == error
    assert bool(outcome.answer) == (not error)
    assert both.same_rows()


async def test_9b_an_exchange_of_what_another_exchange_gave() -> None:
    both = await twins()
    await both.hear(request_of("refresh_token", "launcher"))
    assert (await both.hear(request_of("own exchange", "web", scope="openid"))).answer
    assert (await both.hear(request_of("own exchange", "web", subject_token="access:1"))).answer
    asked = await both.hear(request_of("own exchange", "web", requested_token_type=ID_TOKEN))
    assert asked.answer["issued_token_type"] == ID_TOKEN


def test_9b_every_grant_is_compared() -> None:
    assert {grant.GRANT_TYPE for grant in GRANTS} == {request_of(kind, "web")["grant_type"] for kind in GOOD}
