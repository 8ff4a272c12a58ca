"""The account page: who may see it, and what it shows of them.

Owns that a form acts for the session whose page it stood on, and for nobody else. Knows no page and no address.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from authsrv.account_models import Account, JournalEvent, LinkedIdentity
from authsrv.accounts.access import AccountSession
from authsrv.accounts.journal import can_be_undone
from authsrv.accounts.own import NOT_TOLD, PLAYERS_UNDO, OwnAccount
from authsrv.accounts.ways_in import WaysIn
from authsrv.errors import NotFound, UnsupportedProvider
from authsrv.models import Client, Consent, IdentityKey, Project, SignedIn, Visit
from authsrv.oauth.browser.account_client import AccountClients, entry, entry_again
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
from authsrv.records import dataclass
from authsrv.signin import is_usable

_PURPOSE = "account"
_MOST_EVENTS = 20


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
    """A player whose page this browser may see.

    `session` is what drivers of accounts know them by, `public_id` how forms name the session of the browser.
    """

    present: Present
    project: Project
    signed_in: SignedIn
    session: AccountSession
    public_id: str


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session of the player's that can still be used. `public_id` is how forms name it."""

    signed_in: SignedIn
    public_id: str
    is_here: bool


@dataclass(frozen=True, slots=True)
class OwnIdentity:
    """A platform account of the player's. `ref` is how forms of this browser name it."""

    linked: LinkedIdentity
    provider: str
    ref: str
    may_unlink: bool


@dataclass(frozen=True, slots=True)
class OwnEvent:
    """Something that was done to the account. `undo` is how forms name what the player may undo; empty for the rest."""

    event: JournalEvent
    undo: str


@dataclass(frozen=True, slots=True)
class AccountView:
    """What the page shows, at `now`.

    `identities` are the player's platform accounts, `linkable` the platforms of which they may link another, `events`
    the newest of the journal. `sessions` are the player's, that of this browser first, then the newest. `games` can be
    opened from here; `elsewhere` are the other projects in which somebody is signed in in this browser. `csrf` and
    `session` belong into the page's forms, `sign_out_csrf` into that of the logout.
    """

    resident: Resident
    now: int
    account: Account
    identities: Sequence[OwnIdentity]
    linkable: Sequence[str]
    events: Sequence[OwnEvent]
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
        own: OwnAccount,
        ways_in: WaysIn,
        projects: Callable[[], Mapping[str, Project]],
    ) -> None:
        self._server = server
        self._browsers = browsers
        self._presence = presence
        self._authorizer = authorizer
        self._logout = logout
        self._platforms = platforms
        self._pages = pages
        self._own = own
        self._ways_in = ways_in
        self._projects = projects

    async def resident(self, call: AccountCall) -> Resident | None:
        """Who signed in last in this browser, in this project if one is named."""
        present = await self._presence.of(call.cookie)
        found = self._residents(present, call.sender) if present else ()
        return next((one for one in found if call.project in {"", one.project.key}), None)

    async def visit(self, call: AccountCall) -> AccountView | Choice | Outcome:
        """The page of whoever is signed in; else the way to sign in, or what there is to sign in to."""
        resident = await self.resident(call)
        if resident is not None:
            return await self._view(resident)
        projects = self._open_projects(call.project)
        if len(projects) > 1:
            return Choice(projects)
        client = self._pages.of(projects[0])
        return await self._enter(entry(client), call, client)

    async def sign_in_again(self, call: AccountCall, resident: Resident, *, deleting: bool = False) -> Outcome:
        """Let the player sign in once more, for what takes a sign-in of a moment ago (row D46).

        It leads back to the page, or to that on which an account is deleted.
        """
        client, seconds = resident.session.client, resident.project.accounts.reauthentication
        return await self._enter(
            entry_again(client, resident.session.player.sub, seconds, deleting=deleting), call, client
        )

    async def require(self, call: AccountCall, order: Order) -> Resident | None:
        """For whom a form of ours acts, None once they are signed out. Raises `AccessDenied` for another's form."""
        present = await self._presence.of(call.cookie)
        if present is None or not self._browsers.is_ours(order.csrf, present.browser.id, _PURPOSE):
            raise cross_site()
        found = self._residents(present, call.sender)
        return next((one for one in found if one.public_id == order.session), None)

    async def identities(self, resident: Resident) -> Sequence[OwnIdentity]:
        """The player's platform accounts, those linked longest first."""
        return await self._identities(resident, await self._own.load(resident.session))

    async def _identities(self, resident: Resident, account: Account) -> Sequence[OwnIdentity]:
        usable = await self._ways_in.usable(account, resident.project)
        return [self._identity(linked, resident, usable) for linked in account.identities]

    async def linkable(self, resident: Resident) -> Sequence[str]:
        """The platforms of which the player may link an account."""
        return self._linkable(resident.project, await self.identities(resident))

    def of_visit(self, visit: Visit, sender: Sender) -> Resident | None:
        """Whoever is signed in in the project that a browser was looked up for."""
        present = Present(visit.browser, (visit.signed_in,) if visit.signed_in else ())
        return next(iter(self._residents(present, sender)), None)

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

    def require_recent(self, resident: Resident) -> None:
        """Raise `ReauthenticationRequired` when the sign-in is too old to change the account (row D46)."""
        resident.session.require_recent(self._server.now())

    def csrf(self, resident: Resident) -> str:
        """The synchronizer token of the page's forms."""
        return self._browsers.csrf(resident.present.browser.id, _PURPOSE)

    def public_id(self, signed_in: SignedIn) -> str:
        """How forms name a session."""
        return self._server.opaque.public_id("sid", signed_in.session.id)

    def _identity(self, linked: LinkedIdentity, resident: Resident, usable: Collection[IdentityKey]) -> OwnIdentity:
        key = linked.key
        name = "\0".join((_PURPOSE, key.kind, key.environment, key.subject))
        ref = self._browsers.csrf(resident.present.browser.id, name)
        others = [one for one in usable if one != key]
        return OwnIdentity(linked, self._platforms.provider_of(key.kind), ref, bool(others))

    def _linkable(self, project: Project, identities: Sequence[OwnIdentity]) -> Sequence[str]:
        taken = Counter(one.provider for one in identities)
        found = self._platforms.for_browsers(project.key)
        return [name for name in found if taken[name] < project.accounts.identities]

    async def _events(self, player_id: int) -> Sequence[OwnEvent]:
        with outages_answered():
            found = await self._server.storage.load_events(player_id, _MOST_EVENTS)
        return [OwnEvent(event, self._undo(event, player_id)) for event in found if event.kind not in NOT_TOLD]

    def _undo(self, event: JournalEvent, player_id: int) -> str:
        is_own = event.kind in PLAYERS_UNDO and event.player_id == player_id
        possible = is_own and can_be_undone(event, self._server.now())
        return self._server.opaque.public_id("event", event.id) if possible else ""

    def _open_session(self, one: SignedIn, resident: Resident) -> OpenSession:
        return OpenSession(one, self.public_id(one), one.session.id == resident.signed_in.session.id)

    def _residents(self, present: Present, sender: Sender) -> Sequence[Resident]:
        """Who may see their page in this browser, in each project, the newest first."""
        projects, now = self._projects(), self._server.now()
        known = [one for one in present.sessions if one.session.project in projects]
        usable = [one for one in known if is_usable(one, projects[one.session.project], now)]
        newest = sorted(usable, key=lambda one: (one.session.auth_time, one.session.id), reverse=True)
        return [self._resident(present, one, projects[one.session.project], sender) for one in newest]

    def _resident(self, present: Present, one: SignedIn, project: Project, sender: Sender) -> Resident:
        session = AccountSession(self._pages.of(project), one.player, 0, one.session.auth_time, sender)
        return Resident(present, project, one, session, self.public_id(one))

    async def _view(self, resident: Resident) -> AccountView:
        here = self._residents(resident.present, resident.session.sender)
        others = [one.project for one in here if one.project != resident.project]
        account = await self._own.load(resident.session)
        identities = await self._identities(resident, account)
        return AccountView(
            resident=resident,
            now=self._server.now(),
            account=account,
            identities=identities,
            linkable=self._linkable(resident.project, identities),
            events=await self._events(account.player.id),
            sessions=await self.sessions(resident),
            consents=await self.consents(resident),
            games=self._server.registry.openable(resident.project.key),
            elsewhere=others,
            csrf=self.csrf(resident),
            session=resident.public_id,
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

    async def _enter(self, sent: Mapping[str, str], call: AccountCall, client: Client) -> Outcome:
        target = target_of(client, sent["redirect_uri"])
        return await self._authorizer.begin(target, sent, call.cookie, call.sender)
