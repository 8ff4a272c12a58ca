"""Every path, its methods and its handler on one screen."""

from starlette.routing import BaseRoute, Route

from authsrv.endpoints.account import AccountEndpoint
from authsrv.endpoints.account_deletion import AccountDeletion
from authsrv.endpoints.assets import Logos
from authsrv.endpoints.authorize import AuthorizeEndpoint
from authsrv.endpoints.blank import blank
from authsrv.endpoints.discovery import KeySetEndpoint, MetadataEndpoint
from authsrv.endpoints.endpoint import READ, Endpoint
from authsrv.endpoints.events import UndoEndpoint
from authsrv.endpoints.gamesparks.connect import GameSparksEndpoint
from authsrv.endpoints.guests import GuestEndpoint
from authsrv.endpoints.health import live, ready
from authsrv.endpoints.identity import ConnectEndpoint, ContinueEndpoint
from authsrv.endpoints.introspect import IntrospectionEndpoint
from authsrv.endpoints.link import LinkDeparture, LinkEndpoint
from authsrv.endpoints.login import Callback, Departure, DirectDeparture, SignInPage
from authsrv.endpoints.logout import LogoutConfirmation, LogoutEndpoint
from authsrv.endpoints.me import (
    ExportEndpoint,
    IdentitiesEndpoint,
    LinkCodeEndpoint,
    OwnAccountEndpoint,
    TimelineEndpoint,
    UnlinkEndpoint,
)
from authsrv.endpoints.redeem import RedeemEndpoint
from authsrv.endpoints.register import ManagementEndpoint, RegistrationEndpoint
from authsrv.endpoints.revoke import FeedEndpoint, RevocationEndpoint
from authsrv.endpoints.silent import SilentEndpoint, TicketNonceEndpoint
from authsrv.endpoints.token import TokenEndpoint
from authsrv.endpoints.userinfo import UserInfoEndpoint
from authsrv.endpoints.users import BanEndpoint, LiftEndpoint, MergeEndpoint, TransferEndpoint, UserEndpoint
from authsrv.endpoints.xsolla.keys import ProjectKeysEndpoint
from authsrv.endpoints.xsolla.sign_in import LoginRedirectEndpoint, LoginUrlEndpoint
from authsrv.endpoints.xsolla.social_providers import LinkUrlEndpoint, SocialProviderEndpoint, SocialProvidersEndpoint
from authsrv.endpoints.xsolla.users import GameLogoutEndpoint, MeEndpoint, ValidationEndpoint
from authsrv.records import dataclass
from authsrv.serving.readiness import Readiness


@dataclass(frozen=True, slots=True)
class BrowserSurface:
    """What browsers are sent to, and what tells their clients about the player."""

    authorize: AuthorizeEndpoint
    sign_in: SignInPage
    departure: Departure
    direct_departure: DirectDeparture
    callback: Callback
    link: LinkEndpoint
    link_departure: LinkDeparture
    account: AccountEndpoint
    account_deletion: AccountDeletion
    userinfo: UserInfoEndpoint
    logout: LogoutEndpoint
    logout_confirmation: LogoutConfirmation
    logos: Logos


@dataclass(frozen=True, slots=True)
class TokenSurface:
    """What clients do with tokens: get them, end them, ask about them."""

    token: TokenEndpoint
    revoke: RevocationEndpoint
    introspect: IntrospectionEndpoint
    feed: FeedEndpoint


@dataclass(frozen=True, slots=True)
class XsollaSurface:
    """What games on an Xsolla SDK ask for that others ask for elsewhere, or not at all."""

    login_redirect: LoginRedirectEndpoint
    login_url: LoginUrlEndpoint
    logout: GameLogoutEndpoint
    me: MeEndpoint
    social_providers: SocialProvidersEndpoint
    social_provider: SocialProviderEndpoint
    link_url: LinkUrlEndpoint
    validation: ValidationEndpoint
    keys: ProjectKeysEndpoint


@dataclass(frozen=True, slots=True)
class PlayerSurface:
    """What games ask about players and their accounts, in JSON, below `/v1`."""

    guests: GuestEndpoint
    connect: ConnectEndpoint
    proceed: ContinueEndpoint


@dataclass(frozen=True, slots=True)
class GameSparksSurface:
    """What games ask for that were written for GameSparks."""

    xbox_one: GameSparksEndpoint
    steam: GameSparksEndpoint


@dataclass(frozen=True, slots=True)
class OwnSurface:
    """What players do with their own account, in JSON."""

    me: OwnAccountEndpoint
    export: ExportEndpoint
    identities: IdentitiesEndpoint
    timeline: TimelineEndpoint
    unlink: UnlinkEndpoint
    link_code: LinkCodeEndpoint
    redeem: RedeemEndpoint


@dataclass(frozen=True, slots=True)
class ManagementSurface:
    """What servers of the studio do with players, and the way back, which players have too."""

    user: UserEndpoint
    transfer: TransferEndpoint
    merge: MergeEndpoint
    undo: UndoEndpoint
    ban: BanEndpoint
    unban: LiftEndpoint
    restrict: BanEndpoint
    unrestrict: LiftEndpoint


@dataclass(frozen=True, slots=True)
class Served:
    """What the routes lead to."""

    tokens: TokenSurface
    silent: SilentEndpoint
    ticket_nonce: TicketNonceEndpoint
    browser: BrowserSurface
    players: PlayerSurface
    gamesparks: GameSparksSurface
    own: OwnSurface
    managed: ManagementSurface
    registration: RegistrationEndpoint
    management: ManagementEndpoint
    metadata: MetadataEndpoint
    jwks: KeySetEndpoint
    xsolla: XsollaSurface
    readiness: Readiness


def routes(served: Served) -> list[BaseRoute]:
    """The table of routes. What is not here is 404 in the dialect of its path."""
    browser, xsolla, gamesparks, managed = served.browser, served.xsolla, served.gamesparks, served.managed
    below_api, providers = "/api/oauth2/social/{provider}", "/api/users/me/social_providers"
    return [
        Route("/oauth2/authorize", Endpoint(browser.authorize, ("GET", "POST"))),
        Route("/login", Endpoint(browser.sign_in, ("GET", "POST"))),
        Route("/login/{provider}", Endpoint(browser.departure, ("POST",))),
        Route("/login/{provider}/go", Endpoint(browser.direct_departure, ("GET",))),
        Route("/login/{provider}/callback", Endpoint(browser.callback, ("GET",))),
        Route("/account", Endpoint(browser.account, ("GET", "POST"))),
        Route("/account/delete", Endpoint(browser.account_deletion, ("GET", "POST"))),
        Route("/link", Endpoint(browser.link, ("GET", "POST"))),
        Route("/link/{provider}", Endpoint(browser.link_departure, ("POST",))),
        Route("/oauth2/logout", Endpoint(browser.logout, ("GET", "POST"))),
        Route("/oauth2/logout/confirm", Endpoint(browser.logout_confirmation, ("POST",))),
        Route("/oauth2/userinfo", Endpoint(browser.userinfo, ("GET", "POST"), "resource")),
        Route("/assets/{project}/logo", Endpoint(browser.logos, READ)),
        Route("/oauth2/register", Endpoint(served.registration, ("POST",), "resource", served.registration.is_there)),
        Route(
            "/oauth2/register/{client_id}",
            Endpoint(served.management, ("GET", "PUT", "DELETE"), "resource", served.management.is_there),
        ),
        Route("/oauth2/token", Endpoint(served.tokens.token, ("POST",), "token")),
        Route("/oauth2/social/{provider}/cross_auth", Endpoint(served.silent, ("GET", "POST"), "silent")),
        Route("/oauth2/social/steam/nonce", Endpoint(served.ticket_nonce, ("POST",))),
        Route("/v1/guests", Endpoint(served.players.guests, ("POST",))),
        Route("/gamesparks/XboxOneConnectRequest", Endpoint(gamesparks.xbox_one, ("POST",), "identity")),
        Route("/gamesparks/SteamConnectRequest", Endpoint(gamesparks.steam, ("POST",), "identity")),
        Route("/v1/identity/connect", Endpoint(served.players.connect, ("POST",), "identity")),
        Route("/v1/identity/continue", Endpoint(served.players.proceed, ("POST",), "identity")),
        Route("/v1/me", Endpoint(served.own.me, ("GET", "DELETE"), "resource")),
        Route("/v1/me/export", Endpoint(served.own.export, ("GET",), "resource")),
        Route("/v1/me/identities", Endpoint(served.own.identities, ("GET",), "resource")),
        Route("/v1/me/identities/unlink", Endpoint(served.own.unlink, ("POST",), "resource")),
        Route("/v1/me/identities/{provider}/{subject}", Endpoint(served.own.unlink, ("DELETE",), "resource")),
        Route("/v1/me/links/code", Endpoint(served.own.link_code, ("GET", "POST"), "resource")),
        Route("/v1/me/links/redeem", Endpoint(served.own.redeem, ("POST",))),
        Route("/v1/me/timeline", Endpoint(served.own.timeline, ("GET",), "resource")),
        Route("/v1/events/{event}/undo", Endpoint(managed.undo, ("POST",), "resource")),
        Route("/v1/users/{sub}", Endpoint(managed.user, ("GET",))),
        Route("/v1/users/{sub}/transfer", Endpoint(managed.transfer, ("POST",))),
        Route("/v1/users/{sub}/merge", Endpoint(managed.merge, ("POST",))),
        Route("/v1/users/{sub}/ban", Endpoint(managed.ban, ("POST",))),
        Route("/v1/users/{sub}/unban", Endpoint(managed.unban, ("POST",))),
        Route("/v1/users/{sub}/restrict", Endpoint(managed.restrict, ("POST",))),
        Route("/v1/users/{sub}/unrestrict", Endpoint(managed.unrestrict, ("POST",))),
        Route("/oauth2/revoke", Endpoint(served.tokens.revoke, ("POST",), "token")),
        Route("/oauth2/introspect", Endpoint(served.tokens.introspect, ("POST",), "token")),
        Route("/oauth2/revocations", Endpoint(served.tokens.feed, READ)),
        Route("/oauth2/jwks", Endpoint(served.jwks, READ)),
        Route("/.well-known/jwks.json", Endpoint(served.jwks, READ)),
        Route("/.well-known/openid-configuration", Endpoint(served.metadata, READ)),
        Route("/.well-known/oauth-authorization-server", Endpoint(served.metadata, READ)),
        Route("/api/oauth2/token", Endpoint(served.tokens.token, ("POST",), "token")),
        Route(f"{below_api}/cross_auth", Endpoint(served.silent, ("GET", "POST"), "silent")),
        Route(f"{below_api}/login_redirect", Endpoint(xsolla.login_redirect, ("GET",), "silent")),
        Route(f"{below_api}/login_url", Endpoint(xsolla.login_url, ("GET",), "silent")),
        Route("/api/oauth2/logout", Endpoint(xsolla.logout, ("GET",), "resource")),
        Route("/api/users/me", Endpoint(xsolla.me, ("GET",), "resource")),
        Route(providers, Endpoint(xsolla.social_providers, ("GET",), "resource")),
        Route(f"{providers}/{{provider}}", Endpoint(xsolla.social_provider, ("DELETE",), "resource")),
        Route(f"{providers}/{{provider}}/login_url", Endpoint(xsolla.link_url, ("GET",), "resource")),
        Route("/api/token/validate", Endpoint(xsolla.validation, ("POST",), "validation")),
        Route("/api/projects/{id}/keys", Endpoint(xsolla.keys, READ)),
        Route("/api/blank", Endpoint(blank, READ)),
        Route("/health/live", Endpoint(live, READ)),
        Route("/health/ready", Endpoint(ready(served.readiness), READ)),
    ]
