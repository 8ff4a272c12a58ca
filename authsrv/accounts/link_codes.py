"""Link codes: short codes that one device shows and another one redeems, to link a platform account to the first
one's player.

Owns their form, how they are kept, and how often somebody may be wrong about one. Knows no HTTP framework, and not what
is linked.
"""

import hmac
import re
from collections.abc import Callable, Iterator
from typing import Literal

from authsrv.account_models import LinkCode, LoadedLinkCode
from authsrv.accounts.access import AccountSession
from authsrv.errors import InvalidGrant, TemporarilyUnavailable
from authsrv.limits import Rule
from authsrv.models import Client, Digest
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.request import Sender
from authsrv.oauth.server import ATTEMPTS, TokenServer
from authsrv.records import dataclass
from authsrv.storage.account_changes import AddLinkCode
from authsrv.storage.base import Conflict

LIFETIME = 600
"""Seconds."""
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so that no words come about (RFC 8628 section 6.1): 34 bits in eight of these."""

_LENGTH = 8
_FILLING = re.compile(r"[\s.\-_\u2010-\u2015]+")
_FORM = re.compile(rf"[{LETTERS}]{{{_LENGTH}}}")
_WRONG = "This code is wrong, too old or was used; ask for a new one on the other device."

State = Literal["none", "pending", "linked", "expired"]


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """A code as it is shown, and what is kept of it."""

    text: str
    code: LinkCode


@dataclass(frozen=True, slots=True)
class Guesser:
    """Who comes with a code: from where, and by which client. `client_id` is empty for a page of ours."""

    sender: Sender
    client_id: str = ""


@dataclass(frozen=True, slots=True)
class FoundCode:
    """A code that is good, with its player and the client that asked for it."""

    loaded: LoadedLinkCode
    client: Client

    @property
    def code(self) -> LinkCode:
        """The code."""
        return self.loaded.code


class LinkCodes:
    """Makes and finds codes. `key` is a secret of this server; `random` gives that many bytes."""

    def __init__(self, server: TokenServer, key: bytes, random: Callable[[int], bytes]) -> None:
        self._server = server
        self._key = key
        self._random = random

    async def issue(self, session: AccountSession, return_to: str = "", *, checked: bool = True) -> IssuedCode:
        """A code for the player, whose older ones are void. Raises `ReauthenticationRequired` and `RateLimited`.

        `return_to` is a registered address of the client where the browser goes afterwards. Without `checked` there is
        no number to compare, because the first device shows no page of its own.
        """
        now = self._server.now()
        session.require_recent(now)
        self._server.limits.check(Rule.LINK_CODES, session.player.sub)
        for _ in range(ATTEMPTS):
            issued = self._new(session, return_to, self._check_number() if checked else "", now)
            try:
                await self._server.apply([AddLinkCode(issued.code)])
            except Conflict:
                continue
            return issued
        raise TemporarilyUnavailable(retry_after=1, detail="every code was taken")

    async def newest(self, session: AccountSession) -> tuple[State, LinkCode | None]:
        """The code that the player asked for last, and what became of it."""
        with outages_answered():
            code = await self._server.storage.load_newest_link_code(session.player.id)
        if code is None:
            return "none", None
        if code.used_at is not None:
            return "linked", code
        return "pending" if await self._is_good(code) else "expired", code

    async def find(self, text: str, guesser: Guesser, project: str = "") -> FoundCode:
        """The code that somebody typed, of this project if one is named.

        Raises `InvalidGrant`, always the same, for one that is wrong, used or too old, and `RateLimited`.
        """
        limits, address, client_id = self._server.limits, guesser.sender.address, guesser.client_id or "link-page"
        limits.check(Rule.LINK_CODE_FAILURES, address)
        limits.check(Rule.CLIENT_LINK_CODE_FAILURES, client_id)
        found = await self._at(self._hash(normal(text)))
        if found is None or project not in {"", found.code.project}:
            limits.record_failure(Rule.LINK_CODE_FAILURES, address)
            limits.record_failure(Rule.CLIENT_LINK_CODE_FAILURES, client_id)
            raise wrong_code()
        return found

    async def again(self, code_hash: Digest) -> FoundCode:
        """A code that was found before. Raises `InvalidGrant` once it is good no more."""
        found = await self._at(code_hash)
        if found is None:
            raise wrong_code()
        return found

    async def known(self, code_hash: Digest) -> FoundCode | None:
        """A code that was found before, whatever became of it."""
        with outages_answered():
            loaded = await self._server.storage.load_link_code(code_hash)
        client = self._server.registry.get(loaded.code.client_id) if loaded else None
        if loaded is None or client is None or client.project.key != loaded.code.project:
            return None
        return FoundCode(loaded, client)

    async def _at(self, code_hash: Digest) -> FoundCode | None:
        found = await self.known(code_hash)
        return found if found and await self._is_good(found.code) else None

    async def _is_good(self, code: LinkCode) -> bool:
        """Whether it can be used yet. It ends with what it was asked for by: with a sign-out, a lost platform account,
        a ban. Otherwise whoever lost an account to its owner would have ten minutes left in it.
        """
        if code.used_at is not None or self._server.now() >= code.expires_at:
            return False
        return await self._server.live_tokens.holds(code.grant_id, code.created_at)

    def _new(self, session: AccountSession, return_to: str, check_number: str, now: int) -> IssuedCode:
        text = "".join(LETTERS[number] for number in self._numbers(len(LETTERS), _LENGTH))
        code = LinkCode(
            id=self._server.storage.next_id(),
            code_hash=self._hash(text),
            project=session.client.project.key,
            player_id=session.player.id,
            client_id=session.client.client_id,
            grant_id=session.grant_id,
            check_number=check_number,
            return_to=return_to,
            created_at=now,
            expires_at=now + LIFETIME,
        )
        return IssuedCode(f"{text[:4]}-{text[4:]}", code)

    def _check_number(self) -> str:
        (number,) = self._numbers(90, 1)
        return str(10 + number)

    def _numbers(self, limit: int, count: int) -> Iterator[int]:
        """So many numbers below a limit, each as likely as every other one."""
        while count:
            (byte,) = self._random(1)
            if byte < 256 - 256 % limit:
                count -= 1
                yield byte % limit

    def _hash(self, text: str) -> Digest:
        """Keyed: whoever reads the database could try all of 34 bits."""
        return Digest(hmac.digest(self._key, text.encode(), "sha256"))


def normal(text: str) -> str:
    """A code as it is kept, however it was typed; empty for what can be none."""
    typed = _FILLING.sub("", text[:64]).upper()
    return typed if _FORM.fullmatch(typed) else ""


def wrong_code() -> InvalidGrant:
    """What is said of every code that is not good, so that nobody learns why."""
    return InvalidGrant(_WRONG, reason="link_code_invalid")
