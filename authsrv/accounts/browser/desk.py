"""The account page: who may see it, and what it shows of them.

Owns that a form acts for the session whose page it stood on, and for nobody else. Knows no page and no address.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from authsrv.errors import NotFound, UnsupportedProvider
from authsrv.models import Client, Consent, Project, SignedIn
from authsrv.oauth.browser.account_client import AccountClients, entry
from authsrv.oauth.browser.authorize import Authorizer, Outcome
from authsrv.oauth.browser.browsers import Browsers
from authsrv.oauth.browser.logout import Logout
from authsrv.oauth.browser.pending import cross_site
from authsrv.oauth.browser.presence import Presence, Present
from authsrv.oauth.browser.request import target_of
from authsrv.oauth.directory import PlatformDirectory
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.request import Sender
from authsrv.oauth.server import TokenServer
from authsrv.signin import is_usable

_PURPOSE = "account"


@dataclass(frozen=True, slots=True)
class AccountCall:
    """A browser at the account page. `project` is the key that its address names, empty without one."""

    cookie: str
    sender: Sender
    project: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """What a player pressed: the form's token, the session it speaks of, and the thing concerned by its public id."""

    csrf: str
    session: str
    item: str


@dataclass(frozen=True, slots=True)
class Resident:
    """A player whose page this browser may see."""

    present: Present
    project: Project
    signed_in: SignedIn


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session of the player's that can still be used. `public_id` is how forms name it."""

    signed_in: SignedIn
    public_id: str
    is_here: bool


@dataclass(frozen=True, slots=True)
class AccountView:
    """What the page shows, at `now`. `sessions` are the player's, that of this browser first, then the newest.

    `games` can be opened from here; `elsewhere` are the other projects in which somebody is signed in in this browser.
    `csrf` and `session` belong into the page's forms, `sign_out_csrf` into that of the logout.
    """

    resident: Resident
    now: int
    sessions: Sequence[OpenSession]
    consents: Sequence[Consent]
    games: Sequence[Client]
    elsewhere: Sequence[Project]
    csrf: str
    session: str
    sign_out_csrf: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Nobody is signed in, and there are several projects to sign in to."""

    projects: Sequence[Project]


class AccountDesk:
    """Shows players their account."""

    def __init__(
        self,
        *,
        server: TokenServer,
        browsers: Browsers,
        presence: Presence,
        authorizer: Authorizer,
        logout: Logout,
        platforms: PlatformDirectory,
        pages: AccountClients,
        projects: Callable[[], Mapping[str, Project]],
    ) -> None:
        self._server = server
        self._browsers = browsers
        self._presence = presence
        self._authorizer = authorizer
        self._logout = logout
        self._platforms = platforms
        self._pages = pages
        self._projects = projects

    async def resident(self, cookie: str, project: str = "") -> Resident | None:
        """Who signed in last in this browser, in this project if one is named."""
        present = await self._presence.of(cookie)
        found = self._residents(present) if present else ()
        return next((one for one in found if project in {"", one.project.key}), None)

    async def visit(self, call: AccountCall) -> AccountView | Choice | Outcome:
        """The page of whoever is signed in; else the way to sign in, or what there is to sign in to."""
        resident = await self.resident(call.cookie, call.project)
        if resident is not None:
            return await self._view(resident)
        projects = self._open_projects(call.project)
        return await self._enter(projects[0], call) if len(projects) == 1 else Choice(projects)

    async def require(self, call: AccountCall, order: Order) -> Resident | None:
        """For whom a form of ours acts, None once they are signed out. Raises `AccessDenied` for another's form."""
        present = await self._presence.of(call.cookie)
        if present is None or not self._browsers.is_ours(order.csrf, present.browser_id, _PURPOSE):
            raise cross_site()
        return next((one for one in self._residents(present) if self.public_id(one.signed_in) == order.session), None)

    async def sessions(self, resident: Resident) -> Sequence[OpenSession]:
        """Where the player is signed in, in all browsers: in this one first, then the newest."""
        with outages_answered():
            found = await self._server.storage.load_player_sessions(resident.signed_in.player.id)
        usable = [one for one in found if is_usable(one, resident.project, self._server.now())]
        opened = [self._open_session(one, resident) for one in reversed(usable)]
        return sorted(opened, key=lambda one: not one.is_here)

    async def consents(self, resident: Resident) -> Sequence[Consent]:
        """What the player lets clients have."""
        with outages_answered():
            return await self._server.storage.load_consents(resident.signed_in.player.id)

    def public_id(self, signed_in: SignedIn) -> str:
        """How forms name a session."""
        return self._server.opaque.public_id("sid", signed_in.session.id)

    def _open_session(self, one: SignedIn, resident: Resident) -> OpenSession:
        return OpenSession(one, self.public_id(one), one.session.id == resident.signed_in.session.id)

    def _residents(self, present: Present) -> Sequence[Resident]:
        """Who may see their page in this browser, in each project, the newest first."""
        projects, now = self._projects(), self._server.now()
        known = [one for one in present.sessions if one.session.project in projects]
        found = [Resident(present, projects[one.session.project], one) for one in known]
        usable = [one for one in found if is_usable(one.signed_in, one.project, now)]
        return sorted(usable, key=lambda one: (one.signed_in.session.auth_time, one.signed_in.session.id), reverse=True)

    async def _view(self, resident: Resident) -> AccountView:
        others = [one.project for one in self._residents(resident.present) if one.project != resident.project]
        return AccountView(
            resident=resident,
            now=self._server.now(),
            sessions=await self.sessions(resident),
            consents=await self.consents(resident),
            games=self._server.registry.openable(resident.project.key),
            elsewhere=others,
            csrf=self._browsers.csrf(resident.present.browser_id, _PURPOSE),
            session=self.public_id(resident.signed_in),
            sign_out_csrf=self._logout.csrf(resident.present),
        )

    def _open_projects(self, named: str) -> Sequence[Project]:
        """The projects that a browser can sign in to, or the one that is named. Raises `AuthsrvError` without any."""
        projects = [one for key, one in self._projects().items() if named in {"", key}]
        found = [one for one in projects if self._platforms.for_browsers(one.key)]
        if not projects:
            raise NotFound
        if not found:
            raise UnsupportedProvider("No platform signs players in by the browser.", reason="provider_not_configured")
        return sorted(found, key=lambda one: one.name)

    async def _enter(self, project: Project, call: AccountCall) -> Outcome:
        client = self._pages.of(project)
        target = target_of(client, client.redirect_uris[0])
        return await self._authorizer.begin(target, entry(client), call.cookie, call.sender)
