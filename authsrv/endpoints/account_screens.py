"""The account page's views of what is loaded: whose account, their sessions, and who may use it.

Owns which facts become which row, and the address of every form. Decides nothing and draws nothing itself.
"""

from collections.abc import Mapping
from typing import get_args

from starlette.requests import Request
from starlette.responses import Response

from authsrv.account_models import Account, EventKind, JournalEvent
from authsrv.accounts.browser.contests import Contest
from authsrv.accounts.browser.desk import AccountCall, AccountView, Choice, OpenSession, OwnEvent, OwnIdentity, Resident
from authsrv.endpoints.cookies import SessionCookie
from authsrv.endpoints.endpoint import sender
from authsrv.endpoints.forms import parse_form
from authsrv.endpoints.screens import Facts, Screens, remember
from authsrv.models import Consent, Project
from authsrv.oauth.browser.account_client import AccountClients
from authsrv.pages.views import (
    AccountPage,
    ChooseProjectPage,
    ConflictChoice,
    ConflictPage,
    ConsentRow,
    DeleteAccountPage,
    DeletedPage,
    Doing,
    Done,
    EventRow,
    Form,
    IdentityRow,
    Linkable,
    OpenLink,
    PlayerSummary,
    SessionRow,
)

_DOING: Mapping[EventKind, Doing] = {
    "created": "created",
    "linked": "linked",
    "unlinked": "unlinked",
    "switched": "switched",
    "merged": "merged",
    "undone": "undone",
    "banned": "banned",
    "unbanned": "unbanned",
    "renamed": "renamed",
    "consent_given": "consent_given",
    "consent_withdrawn": "consent_withdrawn",
}


class AccountScreens:
    """Draws the pages of `/account`."""

    def __init__(self, screens: Screens, facts: Facts, addresses: AccountClients) -> None:
        self._screens = screens
        self._facts = facts
        self.addresses = addresses

    def account(self, request: Request, view: AccountView, done: str) -> Response:
        """The page of whoever is signed in. `done` is what its last form did."""
        resident = view.resident
        remember(request, resident.project)
        page = AccountPage(
            player=self._screens.player(resident.signed_in),
            since=resident.signed_in.player.created_at,
            now=view.now,
            form=Form(self.addresses.address(resident.project), "", view.csrf, view.session),
            sign_out=Form(f"{self._facts.issuer}/oauth2/logout/confirm", "", view.sign_out_csrf),
            delete=self.addresses.deletion(resident.project),
            identities=tuple(self._identity(one, view) for one in view.identities),
            linkable=tuple(Linkable(name, self._facts.titles[name]) for name in view.linkable),
            sessions=tuple(map(self._session, view.sessions)),
            consents=tuple(map(self._consent, view.consents)),
            events=tuple(self._event(own, view.account) for own in view.events),
            games=tuple(OpenLink(client.name, self._screens.opening(client)) for client in view.games),
            elsewhere=tuple(map(self._link, view.elsewhere)),
            done=next((known for known in get_args(Done) if known == done), ""),
            form_targets=self._screens.anywhere,
        )
        return self._screens.draw(request, page)

    def contest(self, request: Request, contest: Contest) -> Response:
        """What to do about a platform account that is another player's."""
        remember(request, contest.resident.project)
        page = ConflictPage(
            form=Form(self.addresses.address(contest.resident.project), "", contest.csrf, contest.session),
            item=contest.token,
            platform_title=self._facts.titles[contest.platform],
            current=self._summary(contest.current),
            other=self._summary(contest.other),
            choices=tuple(known for known in get_args(ConflictChoice) if known in contest.choices),
            leaves_nothing=contest.leaves_nothing,
        )
        return self._screens.draw(request, page)

    def deletion(self, request: Request, resident: Resident, csrf: str, *, unconfirmed: bool) -> Response:
        """What is lost with an account, and whether the player wants that."""
        remember(request, resident.project)
        here, page = self.addresses.deletion(resident.project), self.addresses.address(resident.project)
        form, player = Form(here, "", csrf, resident.public_id), self._screens.player(resident.signed_in)
        return self._screens.draw(request, DeleteAccountPage(form, player, page, unconfirmed))

    def deleted(self, request: Request, resident: Resident) -> Response:
        """The account is gone."""
        remember(request, resident.project)
        return self._screens.draw(request, DeletedPage())

    def choice(self, request: Request, choice: Choice) -> Response:
        """Which account page the player wants."""
        return self._screens.draw(request, ChooseProjectPage(tuple(map(self._link, choice.projects))))

    def _summary(self, account: Account) -> PlayerSummary:
        names = [self._facts.provider_of(linked.key.kind) for linked in account.identities]
        titles = tuple(dict.fromkeys(self._facts.titles.get(name, name) for name in names))
        return PlayerSummary(account.player.display_name, account.player.created_at, titles)

    def _identity(self, one: OwnIdentity, view: AccountView) -> IdentityRow:
        same = [other for other in view.identities if other.provider == one.provider]
        mark = f"\u2026{one.linked.key.subject[-4:]}" if len(same) > 1 else ""
        title = self._facts.titles.get(one.provider, one.provider)
        return IdentityRow(
            one.ref if one.may_unlink else "", title, mark, one.linked.linked_at, one.linked.last_used_at
        )

    def _event(self, one: OwnEvent, account: Account) -> EventRow:
        event, own = one.event, {account.player.id, *(alias.id for alias in account.aliases)}
        doing = _DOING[event.kind] if event.kind != "transferred" else "gained" if event.player_id in own else "lost"
        return EventRow(doing, event.at, self._concerned(event), event.actor != "player", one.undo)

    def _concerned(self, event: JournalEvent) -> str:
        """The platform or the client that an event is about."""
        if event.identity:
            name = self._facts.provider_of(event.identity.kind)
            return self._facts.titles.get(name, name)
        client = self._facts.client(event.client_id)
        return client.name if client else event.client_id

    def _session(self, one: OpenSession) -> SessionRow:
        session = one.signed_in.session
        title = self._facts.titles.get(session.platform, session.platform)
        return SessionRow("" if one.is_here else one.public_id, title, session.created_at, session.used_at)

    def _consent(self, consent: Consent) -> ConsentRow:
        client = self._facts.client(consent.client_id)
        name = client.name if client else consent.client_id
        return ConsentRow(consent.client_id, name, consent.scope, consent.given_at)

    def _link(self, project: Project) -> OpenLink:
        return OpenLink(project.name, self.addresses.address(project))


def called(request: Request, cookie: SessionCookie) -> AccountCall:
    """The browser that comes to one of these pages."""
    return AccountCall(cookie.read(request), sender(request), query(request).get("project", ""))


def query(request: Request) -> Mapping[str, str]:
    """What the address of one of these pages says."""
    return parse_form(request.scope["query_string"]).take({"project", "done"})
