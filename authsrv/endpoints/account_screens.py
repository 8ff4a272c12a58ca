"""The account page's views of what is loaded: whose account, their sessions, and who may use it.

Owns which facts become which row, and the address of every form. Decides nothing and draws nothing itself.
"""

from typing import get_args
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from authsrv.accounts.browser.desk import AccountView, Choice, OpenSession
from authsrv.endpoints.screens import Facts, Screens, remember
from authsrv.models import Consent, Project
from authsrv.pages.views import (
    AccountPage,
    ChooseProjectPage,
    ConsentRow,
    Done,
    Form,
    OpenLink,
    SessionRow,
)


class AccountScreens:
    """Draws the pages of `/account`."""

    def __init__(self, screens: Screens, facts: Facts) -> None:
        self._screens = screens
        self._facts = facts

    def account(self, request: Request, view: AccountView, done: str) -> Response:
        """The page of whoever is signed in. `done` is what its last form did."""
        resident = view.resident
        remember(request, resident.project)
        page = AccountPage(
            player=self._screens.player(resident.signed_in),
            since=resident.signed_in.player.created_at,
            now=view.now,
            form=Form(f"{self._facts.issuer}/account", "", view.csrf, view.session),
            sign_out=Form(f"{self._facts.issuer}/oauth2/logout/confirm", "", view.sign_out_csrf),
            sessions=tuple(map(self._session, view.sessions)),
            consents=tuple(map(self._consent, view.consents)),
            games=tuple(OpenLink(client.name, self._screens.opening(client)) for client in view.games),
            elsewhere=tuple(map(self._link, view.elsewhere)),
            done=next((known for known in get_args(Done) if known == done), ""),
        )
        return self._screens.draw(request, page)

    def choice(self, request: Request, choice: Choice) -> Response:
        """Which account page the player wants."""
        return self._screens.draw(request, ChooseProjectPage(tuple(map(self._link, choice.projects))))

    def _session(self, one: OpenSession) -> SessionRow:
        session = one.signed_in.session
        title = self._facts.titles.get(session.platform, session.platform)
        return SessionRow("" if one.is_here else one.public_id, title, session.created_at, session.used_at)

    def _consent(self, consent: Consent) -> ConsentRow:
        client = self._facts.client(consent.client_id)
        name = client.name if client else consent.client_id
        return ConsentRow(consent.client_id, name, consent.scope, consent.given_at)

    def _link(self, project: Project) -> OpenLink:
        return OpenLink(project.name, f"{self._facts.issuer}/account?{urlencode({'project': project.key})}")
