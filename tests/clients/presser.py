"""A browser without a screen, over real HTTP: keeps cookies, follows redirects, presses the buttons it is told to."""

from types import TracebackType
from urllib.parse import urljoin

import httpx

from tests.support.browser import Page

MOST_REDIRECTS = 10


class Presser:
    """One browser."""

    def __init__(self) -> None:
        self._http = httpx.Client(timeout=30)

    def __enter__(self) -> "Presser":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def go(self, url: str, *buttons: str, until: str) -> str:
        """Open an address and press the buttons one after the other; the first address that begins with `until`."""
        page = self._follow(self._http.get(url), until)
        for button in buttons:
            page = self._press(page, button, until)
        assert page.url.startswith(until), (page.url, page.html)
        return page.url

    def _press(self, page: Page, button: str, until: str) -> Page:
        form, pressed = page.find(button)
        chosen = {"case": "good"} if "case" in form.fields else {}  # the first of the emulated platform's cases
        fields = {**form.fields, **chosen, **({pressed.name: pressed.value} if pressed.name else {})}
        return self._follow(self._http.post(urljoin(page.url, pressed.action or form.action), data=fields), until)

    def _follow(self, answer: httpx.Response, until: str) -> Page:
        for _ in range(MOST_REDIRECTS):
            if not answer.has_redirect_location:
                return Page(str(answer.url), answer.status_code, answer.text, answer.headers)
            url = urljoin(str(answer.url), answer.headers["location"])
            if url.startswith(until):
                return Page(url, answer.status_code)
            answer = self._http.get(url)
        raise AssertionError("too many redirects")
