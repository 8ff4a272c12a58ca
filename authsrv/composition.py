"""Puts the parts that answer requests together, once storage and keys are there.

Owns nothing but the order of construction; `app.py` owns what lives longer than one set of keys.
"""

import time
from collections.abc import Callable, Collection

from authsrv.accounts.access import AccountAccess
from authsrv.accounts.answers import ConnectAnswers
from authsrv.accounts.arrivals import Arrivals
from authsrv.accounts.bans import Bans
from authsrv.accounts.browser.contests import Contests
from authsrv.accounts.browser.desk import AccountDesk
from authsrv.accounts.browser.link_page import LinkPage
from authsrv.accounts.browser.linking import AccountLinking
from authsrv.accounts.browser.orders import AccountOrders
from authsrv.accounts.callers import Callers
from authsrv.accounts.cases import Cases
from authsrv.accounts.code_linking import CodeLinking
from authsrv.accounts.confirmations import ConfirmationTokens
from authsrv.accounts.conflicts import Conflicts
from authsrv.accounts.connecting import Connector
from authsrv.accounts.continuation import ContinuationTokens
from authsrv.accounts.continuing import Continuing
from authsrv.accounts.doors import ConnectParts, gamesparks_door, identity_door
from authsrv.accounts.exporting import Names
from authsrv.accounts.forgetting import Forgetting
from authsrv.accounts.link_codes import LinkCodes
from authsrv.accounts.managed import ManagedPlayers, Managers
from authsrv.accounts.managed_bans import ManagedBans
from authsrv.accounts.own import OwnAccount
from authsrv.accounts.own_data import OwnData
from authsrv.accounts.own_linking import OwnLinkCodes
from authsrv.accounts.own_unlinking import OwnUnlinking
from authsrv.accounts.performing import PlayerChanges
from authsrv.accounts.redeeming import Redeeming
from authsrv.accounts.session_ends import SessionEnds
from authsrv.accounts.social_providers import SocialProviders
from authsrv.accounts.summaries import Summaries
from authsrv.accounts.unlinking import Unlinking
from authsrv.accounts.ways_in import WaysIn
from authsrv.audit import Audit
from authsrv.config.registered_clients import faults
from authsrv.endpoints.account import AccountDrivers, AccountEndpoint
from authsrv.endpoints.account_deletion import AccountDeletion
from authsrv.endpoints.account_screens import AccountScreens
from authsrv.endpoints.answers import Answers
from authsrv.endpoints.assets import Logos
from authsrv.endpoints.authorize import AuthorizeEndpoint, Outcomes
from authsrv.endpoints.cookies import SessionCookie
from authsrv.endpoints.discovery import KeySetEndpoint, MetadataEndpoint
from authsrv.endpoints.events import UndoEndpoint
from authsrv.endpoints.gamesparks.connect import GameSparksEndpoint
from authsrv.endpoints.gamesparks.requests import REQUESTS
from authsrv.endpoints.guests import GuestEndpoint
from authsrv.endpoints.identity import ConnectEndpoint, ContinueEndpoint
from authsrv.endpoints.introspect import IntrospectionEndpoint
from authsrv.endpoints.link import LinkDeparture, LinkEndpoint, LinkReturn
from authsrv.endpoints.link_screens import LinkScreens
from authsrv.endpoints.login import Callback, Departure, DirectDeparture, SignInPage
from authsrv.endpoints.logout import LogoutConfirmation, LogoutEndpoint
from authsrv.endpoints.managing import Managing
from authsrv.endpoints.me import (
    ExportEndpoint,
    IdentitiesEndpoint,
    LinkCodeEndpoint,
    OwnAccountEndpoint,
    OwnSession,
    TimelineEndpoint,
    UnlinkEndpoint,
)
from authsrv.endpoints.redeem import RedeemEndpoint
from authsrv.endpoints.register import ManagementEndpoint, RegistrationEndpoint
from authsrv.endpoints.revoke import FeedEndpoint, RevocationEndpoint
from authsrv.endpoints.routes import (
    BrowserSurface,
    GameSparksSurface,
    ManagementSurface,
    OwnSurface,
    PlayerSurface,
    Served,
    TokenSurface,
    XsollaSurface,
)
from authsrv.endpoints.screens import Facts, Screens
from authsrv.endpoints.silent import SilentEndpoint, TicketNonceEndpoint
from authsrv.endpoints.token import TokenEndpoint
from authsrv.endpoints.userinfo import UserInfoEndpoint
from authsrv.endpoints.users import BanEndpoint, LiftEndpoint, MergeEndpoint, TransferEndpoint, UserEndpoint
from authsrv.endpoints.xsolla.keys import CACHE, ProjectKeysEndpoint
from authsrv.endpoints.xsolla.sign_in import LoginRedirectEndpoint, LoginUrlEndpoint
from authsrv.endpoints.xsolla.social_providers import LinkUrlEndpoint, SocialProviderEndpoint, SocialProvidersEndpoint
from authsrv.endpoints.xsolla.users import GameLogoutEndpoint, MeEndpoint, ValidationEndpoint
from authsrv.limits import Quotas, RateLimiter
from authsrv.models import Retention, SessionRules
from authsrv.oauth.browser.account_client import AccountClients
from authsrv.oauth.browser.authorize import Authorizer
from authsrv.oauth.browser.browsers import Browsers
from authsrv.oauth.browser.check import AuthorizationCheck
from authsrv.oauth.browser.logout import Logout
from authsrv.oauth.browser.pending import PendingRequests
from authsrv.oauth.browser.presence import Presence
from authsrv.oauth.browser.sessions import BrowserSessions
from authsrv.oauth.browser.trips import Trips
from authsrv.oauth.browser.upstream import UpstreamSignIn
from authsrv.oauth.claim_sources import ClaimSources
from authsrv.oauth.clients import ClientRegistry
from authsrv.oauth.credentials import CredentialDesk
from authsrv.oauth.directory import PlatformDirectory
from authsrv.oauth.feed import RevocationFeed
from authsrv.oauth.guests import Guests
from authsrv.oauth.introspection import Introspection
from authsrv.oauth.key_keeper import KeyKeeper
from authsrv.oauth.keys import KeyRing
from authsrv.oauth.live_tokens import LiveTokens
from authsrv.oauth.logins import PlatformLogins
from authsrv.oauth.marks import IdentityMarks
from authsrv.oauth.opaque import OpaqueTokens
from authsrv.oauth.own_tokens import OwnTokens
from authsrv.oauth.proofs import PlatformProofs
from authsrv.oauth.registration.clients import RegisteredClients
from authsrv.oauth.registration.management import ClientManagement
from authsrv.oauth.registration.office import RegistrationOffice, Spread
from authsrv.oauth.registration.registrar import Registrar
from authsrv.oauth.revocation import Revocation
from authsrv.oauth.server import TokenServer
from authsrv.oauth.silent.login import SilentLogin
from authsrv.oauth.silent.nonces import TicketNonces
from authsrv.oauth.tokens import TokenIssuer
from authsrv.oauth.userinfo import UserInfo
from authsrv.oauth.xsolla.bearer import Bearers
from authsrv.oauth.xsolla.keys import key_list
from authsrv.oauth.xsolla.logout import GameLogout
from authsrv.oauth.xsolla.me import Me
from authsrv.oauth.xsolla.sign_in import DirectSignIn
from authsrv.oauth.xsolla.validation import TokenValidation
from authsrv.orders.desk import Desk
from authsrv.platforms.base import Clock
from authsrv.platforms.guest.platform import DEVICE_SECRET, GuestPlatform
from authsrv.platforms.guest.secret import new_secret
from authsrv.records import dataclass
from authsrv.serving.readiness import Readiness
from authsrv.storage.base import Storage


@dataclass(frozen=True, slots=True)
class Parts:
    """What outlives a set of keys: made by the application, and reloaded by it."""

    issuer: str
    quotas: Quotas
    rules: SessionRules
    clock: Clock
    random: Callable[[int], bytes]
    storage: Storage
    registry: ClientRegistry
    registered: RegisteredClients
    platforms: PlatformDirectory
    claim_sources: ClaimSources
    audit: Audit
    metadata: MetadataEndpoint
    readiness: Readiness
    screens: Screens
    facts: Facts
    logos: Logos
    retention: Callable[[], Retention]
    spread: Spread


@dataclass(frozen=True, slots=True)
class _Codes:
    """Linking by code."""

    codes: LinkCodes
    linking: CodeLinking
    redeeming: Redeeming


@dataclass(frozen=True, slots=True)
class _Accounts:
    """What tells of accounts and changes them, whoever asks for it."""

    ways_in: WaysIn
    own: OwnAccount
    unlinking: OwnUnlinking
    codes: _Codes
    managed: ManagedPlayers
    forgetting: Forgetting
    bans: ManagedBans


@dataclass(frozen=True, slots=True)
class _Here:
    """What the account page does its work with."""

    browsers: Browsers
    sessions: BrowserSessions
    trips: Trips
    desk: AccountDesk
    accounts: _Accounts


@dataclass(frozen=True, slots=True)
class _Drivers:
    """What decides and writes behind the browser's endpoints."""

    authorizer: Authorizer
    trips: Trips
    upstream: UpstreamSignIn
    direct: DirectSignIn
    sessions: BrowserSessions
    accounts: _Accounts
    link_page: LinkPage
    logout: Logout
    page: AccountDrivers
    account_pages: AccountClients
    userinfo: UserInfo


def served(parts: Parts, ring: KeyRing, server: TokenServer) -> Served:
    """Every endpoint of the server on these keys."""
    silent = SilentLogin(server, parts.platforms, _nonces(parts, ring))
    drivers = _drivers(parts, ring, server)
    shared = _connect_parts(parts, ring, server, drivers.sessions)
    return Served(
        tokens=_token_surface(parts, server),
        silent=SilentEndpoint(silent, parts.issuer),
        ticket_nonce=TicketNonceEndpoint(silent),
        metadata=parts.metadata,
        jwks=KeySetEndpoint(ring.jwks),
        xsolla=_xsolla_surface(parts, ring, server, drivers),
        readiness=parts.readiness,
        registration=RegistrationEndpoint(registrar(parts, server)),
        management=ManagementEndpoint(ClientManagement(_office(parts, server))),
        own=_own_surface(server, drivers.accounts),
        browser=_browser_surface(parts, drivers),
        players=_player_surface(parts, server, shared),
        gamesparks=_gamesparks_surface(server, shared),
        managed=_management_surface(server, drivers.accounts),
    )


def _token_surface(parts: Parts, server: TokenServer) -> TokenSurface:
    return TokenSurface(
        token=TokenEndpoint(server),
        revoke=RevocationEndpoint(Revocation(server)),
        introspect=IntrospectionEndpoint(Introspection(server)),
        feed=FeedEndpoint(RevocationFeed(server, parts.registered)),
    )


def _xsolla_surface(parts: Parts, ring: KeyRing, server: TokenServer, drivers: _Drivers) -> XsollaSurface:
    bearers, issuer, accounts = Bearers(server), parts.issuer, drivers.accounts
    session = OwnSession(AccountAccess(server))
    providers = SocialProviders(
        own=accounts.own,
        ways_in=accounts.ways_in,
        unlinking=accounts.unlinking,
        codes=accounts.codes.codes,
        trips=drivers.trips,
        issuer=issuer,
    )
    answers, cookie = Answers(parts.screens, issuer), SessionCookie(issuer)
    keys = KeySetEndpoint(lambda: key_list(ring.jwks()["keys"]), CACHE)

    def project_ids() -> Collection[str]:
        return {project.id for project in parts.facts.projects().values()}

    return XsollaSurface(
        login_redirect=LoginRedirectEndpoint(drivers.direct, answers, cookie, issuer),
        login_url=LoginUrlEndpoint(drivers.direct, issuer),
        logout=GameLogoutEndpoint(GameLogout(server, drivers.sessions)),
        me=MeEndpoint(Me(server, bearers)),
        social_providers=SocialProvidersEndpoint(session, providers),
        social_provider=SocialProviderEndpoint(session, providers),
        link_url=LinkUrlEndpoint(session, providers),
        validation=ValidationEndpoint(TokenValidation(server, project_ids)),
        keys=ProjectKeysEndpoint(keys, project_ids),
    )


def _player_surface(parts: Parts, server: TokenServer, shared: ConnectParts) -> PlayerSurface:
    guests = Guests(server, parts.platforms, GuestPlatform.name, lambda: new_secret(parts.random))
    answers = ConnectAnswers(Summaries(parts.platforms.provider_of), server.opaque)
    door = identity_door(server)
    return PlayerSurface(
        guests=GuestEndpoint(guests, DEVICE_SECRET),
        connect=ConnectEndpoint(Connector(shared, door), answers),
        proceed=ContinueEndpoint(Continuing(shared, door), answers),
    )


def _gamesparks_surface(server: TokenServer, shared: ConnectParts) -> GameSparksSurface:
    connector = Connector(shared, gamesparks_door(server))
    return GameSparksSurface(
        xbox_one=GameSparksEndpoint(connector, REQUESTS["XboxOneConnectRequest"]),
        steam=GameSparksEndpoint(connector, REQUESTS["SteamConnectRequest"]),
    )


def _connect_parts(parts: Parts, ring: KeyRing, server: TokenServer, sessions: BrowserSessions) -> ConnectParts:
    tokens = ContinuationTokens(parts.issuer, ring.derive(b"authsrv continuation tokens v1"), parts.random)
    return ConnectParts(
        server=server,
        callers=Callers(server, AccountAccess(server)),
        cases=Cases(server),
        arrivals=Arrivals(server, SessionEnds(server, sessions)),
        conflicts=Conflicts(server, Summaries(parts.platforms.provider_of), tokens),
        tokens=tokens,
    )


def _own_surface(server: TokenServer, accounts: _Accounts) -> OwnSurface:
    session, own, data = OwnSession(AccountAccess(server)), accounts.own, OwnData(server, accounts.forgetting)
    return OwnSurface(
        me=OwnAccountEndpoint(session, own, data),
        export=ExportEndpoint(session, data),
        identities=IdentitiesEndpoint(session, own),
        timeline=TimelineEndpoint(session, own),
        unlink=UnlinkEndpoint(session, accounts.unlinking),
        link_code=LinkCodeEndpoint(session, OwnLinkCodes(server, accounts.codes.codes)),
        redeem=RedeemEndpoint(accounts.codes.redeeming),
    )


def _accounts(parts: Parts, ring: KeyRing, server: TokenServer, sessions: BrowserSessions) -> _Accounts:
    provider_of = parts.platforms.provider_of
    summaries, ways_in = Summaries(provider_of), WaysIn(server, provider_of)
    ends = SessionEnds(server, sessions)
    changes = PlayerChanges(server, ends, server.proofs.logins.marks, ways_in)
    managed = ManagedPlayers(server, changes, summaries)
    return _Accounts(
        ways_in=ways_in,
        own=OwnAccount(server, summaries, ways_in),
        unlinking=OwnUnlinking(server, Unlinking(server, ends, ways_in), summaries),
        codes=_codes(parts, ring, server, summaries),
        forgetting=_forgetting(parts, server, sessions),
        managed=managed,
        bans=ManagedBans(server, Bans(server, changes, sessions), managed),
    )


def _codes(parts: Parts, ring: KeyRing, server: TokenServer, summaries: Summaries) -> _Codes:
    codes = LinkCodes(server, ring.derive(b"authsrv link codes v1"), parts.random)
    linking = CodeLinking(server, Cases(server), codes)
    redeeming = Redeeming(
        server=server,
        callers=Callers(server, AccountAccess(server)),
        codes=codes,
        linking=linking,
        tokens=ConfirmationTokens(ring.derive(b"authsrv confirmation tokens v1"), parts.random),
        summaries=summaries,
    )
    return _Codes(codes, linking, redeeming)


def _management_surface(server: TokenServer, accounts: _Accounts) -> ManagementSurface:
    managing, players, bans = Managing(Managers(server)), accounts.managed, accounts.bans
    return ManagementSurface(
        user=UserEndpoint(managing, players),
        transfer=TransferEndpoint(managing, players),
        merge=MergeEndpoint(managing, players),
        undo=UndoEndpoint(OwnSession(AccountAccess(server)), managing, players),
        ban=BanEndpoint(managing, bans, "banned"),
        unban=LiftEndpoint(managing, bans, "banned"),
        restrict=BanEndpoint(managing, bans, "restricted"),
        unrestrict=LiftEndpoint(managing, bans, "restricted"),
    )


def token_server(parts: Parts, ring: KeyRing, restored_at: int) -> TokenServer:
    """Authlib's server on these keys, upon a database that was last restored from a backup then; 0 if it never was."""
    own_tokens = OwnTokens(parts.issuer, ring)
    opaque = OpaqueTokens(ring.derive(b"authsrv opaque tokens v1"), parts.random)
    limits = RateLimiter(parts.quotas, clock=time.monotonic, salt=ring.derive(b"authsrv rate limits v1"))
    return TokenServer(
        storage=parts.storage,
        registry=parts.registry,
        tokens=TokenIssuer(parts.issuer, ring, parts.random),
        opaque=opaque,
        own_tokens=own_tokens,
        live_tokens=LiveTokens(
            storage=parts.storage,
            registry=parts.registry,
            opaque=opaque,
            own_tokens=own_tokens,
            clock=parts.clock,
        ),
        proofs=PlatformProofs(_logins(parts, ring, limits, restored_at), parts.platforms, _nonces(parts, ring)),
        claim_sources=parts.claim_sources,
        limits=limits,
        audit=parts.audit,
        clock=parts.clock,
    )


def _logins(parts: Parts, ring: KeyRing, limits: RateLimiter, restored_at: int) -> PlatformLogins:
    return PlatformLogins(
        storage=parts.storage,
        desk=CredentialDesk(parts.storage, parts.random, restored_at=restored_at),
        limits=limits,
        audit=parts.audit,
        marks=IdentityMarks(ring.derive(b"authsrv identity marks v1")),
        random=parts.random,
        boundless=GuestPlatform.identity_kinds,
    )


def _nonces(parts: Parts, ring: KeyRing) -> TicketNonces:
    return TicketNonces(ring.derive(b"authsrv ticket nonces v1"), parts.random)


def _forgetting(parts: Parts, server: TokenServer, sessions: BrowserSessions) -> Forgetting:
    return Forgetting(
        server=server,
        sessions=sessions,
        names=Names(parts.platforms.provider_of, parts.registry.get),
        projects=parts.facts.projects,
        retention=parts.retention,
        random=parts.random,
    )


def order_desk(parts: Parts, server: TokenServer, keys: KeyKeeper) -> Desk:
    """What orders work with."""
    sessions, ways_in = BrowserSessions(server, parts.rules), WaysIn(server, parts.platforms.provider_of)
    changes = PlayerChanges(server, SessionEnds(server, sessions), server.proofs.logins.marks, ways_in)
    return Desk(
        server=server,
        keys=keys,
        bans=Bans(server, changes, sessions),
        changes=changes,
        forgetting=_forgetting(parts, server, sessions),
        platforms=parts.platforms,
        projects=parts.facts.projects,
    )


def registrar(parts: Parts, server: TokenServer) -> Registrar:
    """What registers clients, and removes those that nobody uses."""
    return Registrar(_office(parts, server), parts.random)


def _office(parts: Parts, server: TokenServer) -> RegistrationOffice:
    return RegistrationOffice(server, parts.registered, faults, parts.spread)


def _drivers(parts: Parts, ring: KeyRing, server: TokenServer) -> _Drivers:
    browsers = Browsers(server.opaque, ring.derive(b"authsrv forms v1"), parts.rules, parts.storage.next_id)
    account_pages = AccountClients(parts.issuer, parts.facts.projects)
    check, sessions = AuthorizationCheck(server, account_pages), BrowserSessions(server, parts.rules)
    pending, presence = PendingRequests(server, browsers, parts.rules), Presence(server, browsers)
    authorizer = Authorizer(server=server, check=check, browsers=browsers, pending=pending, rules=parts.rules)
    accounts = _accounts(parts, ring, server, sessions)
    logout = Logout(server=server, browsers=browsers, presence=presence, sessions=sessions)
    desk = AccountDesk(
        server=server,
        browsers=browsers,
        presence=presence,
        authorizer=authorizer,
        logout=logout,
        platforms=parts.platforms,
        pages=account_pages,
        own=accounts.own,
        ways_in=accounts.ways_in,
        projects=parts.facts.projects,
    )
    logins = server.proofs.logins
    trips = Trips(
        server=server,
        check=check,
        browsers=browsers,
        platforms=parts.platforms,
        logins=logins,
        key=ring.derive(b"authsrv trips v1"),
    )
    upstream = UpstreamSignIn(
        server=server, browsers=browsers, pending=pending, trips=trips, logins=logins, sessions=sessions
    )
    return _Drivers(
        authorizer=authorizer,
        trips=trips,
        upstream=upstream,
        direct=DirectSignIn(
            server=server,
            check=check,
            browsers=browsers,
            pending=pending,
            platforms=parts.platforms,
            trips=trips,
            upstream=upstream,
        ),
        sessions=sessions,
        accounts=accounts,
        link_page=LinkPage(
            server=server,
            browsers=browsers,
            pending=pending,
            pages=account_pages,
            trips=trips,
            codes=accounts.codes.codes,
            linking=accounts.codes.linking,
        ),
        logout=logout,
        page=_account_drivers(parts, ring, server, _Here(browsers, sessions, trips, desk, accounts)),
        account_pages=account_pages,
        userinfo=UserInfo(server),
    )


def _account_drivers(parts: Parts, ring: KeyRing, server: TokenServer, here: _Here) -> AccountDrivers:
    desk, shared = here.desk, _connect_parts(parts, ring, server, here.sessions)
    contests = Contests(shared, desk, here.browsers, here.sessions)
    return AccountDrivers(
        desk=desk,
        orders=AccountOrders(server, desk, here.sessions, here.accounts.unlinking, here.accounts.managed),
        linking=AccountLinking(shared, desk, here.trips, contests),
        contests=contests,
        data=OwnData(server, here.accounts.forgetting),
    )


def _browser_surface(parts: Parts, drivers: _Drivers) -> BrowserSurface:
    issuer, screens, cookie = parts.issuer, parts.screens, SessionCookie(parts.issuer)
    authorizer, upstream, logout = drivers.authorizer, drivers.upstream, drivers.logout
    answers = Answers(screens, issuer)
    outcomes = Outcomes(screens, answers, cookie, issuer)
    pages = AccountScreens(screens, parts.facts, drivers.account_pages)
    account = AccountEndpoint(drivers.page, outcomes=outcomes, screens=pages, cookie=cookie, issuer=issuer)
    return BrowserSurface(
        authorize=AuthorizeEndpoint(authorizer, outcomes, answers, cookie),
        sign_in=SignInPage(
            authorizer=authorizer,
            desk=drivers.page.desk,
            outcomes=outcomes,
            screens=screens,
            cookie=cookie,
            issuer=issuer,
        ),
        departure=Departure(upstream, cookie, issuer),
        direct_departure=DirectDeparture(drivers.direct, cookie),
        callback=Callback(
            trips=drivers.trips,
            upstream=upstream,
            returns={"link_code": LinkReturn(drivers.link_page, issuer), "link": account.came_back},
            authorizer=authorizer,
            outcomes=outcomes,
            cookie=cookie,
            issuer=issuer,
        ),
        link=LinkEndpoint(drivers.link_page, LinkScreens(screens, parts.facts), cookie, issuer),
        link_departure=LinkDeparture(drivers.link_page, cookie, issuer),
        account=account,
        account_deletion=AccountDeletion(
            drivers.page.desk, drivers.page.data, outcomes=outcomes, screens=pages, cookie=cookie, issuer=issuer
        ),
        userinfo=UserInfoEndpoint(drivers.userinfo),
        logout=LogoutEndpoint(logout, screens, cookie, issuer),
        logout_confirmation=LogoutConfirmation(logout, screens, cookie, issuer),
        logos=parts.logos,
    )
