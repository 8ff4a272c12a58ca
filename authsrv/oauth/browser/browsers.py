"""Browsers as they come to our pages: the cookie that names one, and the tokens in our forms.

Owns their making and checking. Knows no cookie attribute and no page; sessions are judged in `authsrv/signin.py`.
"""

import hmac
from collections.abc import Callable
from hmac import compare_digest

from authsrv.models import Browser, SessionRules, Visit
from authsrv.oauth.opaque import Opaque, OpaqueTokens
from authsrv.records import dataclass
from authsrv.storage.changes import RotateBrowser

_CSRF_LENGTH = 32
_UNPROVEN_SECONDS = 86400
"""For how long a browser in which nobody has signed in may begin sign-ins: anybody can make one, and each is a row."""


@dataclass(frozen=True, slots=True)
class NewCookie:
    """What the browser's cookie shall hold from now on, for so many seconds."""

    value: str
    max_age: int


class Browsers:
    """Makes and recognises browsers. `key` is a secret of this server; `next_id` gives row ids."""

    def __init__(self, opaque: OpaqueTokens, key: bytes, rules: SessionRules, next_id: Callable[[], int]) -> None:
        self._opaque = opaque
        self._key = key
        self._rules = rules
        self._next_id = next_id

    def read(self, cookie: str) -> Opaque | None:
        """Which browser a cookie claims to be, if it can be one of ours."""
        return self._opaque.read("browser", cookie)

    def is_known(self, presented: Opaque | None, visit: Visit | None, now: int) -> bool:
        """Whether what was loaded is the browser that the cookie proves to be."""
        if presented is None or visit is None or presented.row_id != visit.browser.id:
            return False
        return compare_digest(visit.browser.secret_hash, presented.digest) and now < visit.browser.expires_at

    def new(self, now: int) -> tuple[Browser, NewCookie]:
        """A browser that came for the first time."""
        row_id, seconds = self._next_id(), _UNPROVEN_SECONDS + self._rules.request
        made = self._opaque.new("browser", row_id)
        return Browser(row_id, made.digest, now, now + seconds), NewCookie(made.text, seconds)

    def rotated(self, browser: Browser, now: int) -> tuple[RotateBrowser, NewCookie]:
        """Another secret for the same browser, so that whoever knew the old one before a sign-in has nothing of it."""
        made = self._opaque.new("browser", browser.id)
        change = RotateBrowser(browser.id, browser.secret_hash, made.digest, now + self._rules.absolute)
        return change, NewCookie(made.text, self._rules.absolute)

    def csrf(self, browser_id: int, purpose: str) -> str:
        """The synchronizer token of a form. It outlives a change of the cookie, so that other tabs go on working."""
        return hmac.digest(self._key, f"{browser_id}\0{purpose}".encode(), "sha256").hex()[:_CSRF_LENGTH]

    def is_ours(self, csrf: str, browser_id: int, purpose: str) -> bool:
        """Whether a form was made for this browser and purpose."""
        return compare_digest(csrf.encode(), self.csrf(browser_id, purpose).encode())
