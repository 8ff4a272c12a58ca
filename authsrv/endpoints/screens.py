"""Which page shows what: outcomes and errors of the browser surface become views, in the player's language.

Owns the words' choice (by closed codes), the project's look and the address of every form. Decides nothing about a
sign-in and draws nothing itself.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from authsrv import errors
from authsrv.errors import AuthsrvError
from authsrv.models import ACCOUNT_PREFIX, Client, Project, SignedIn
from authsrv.oauth.browser.authorize import Question
from authsrv.oauth.browser.logout import Asking, SignedOut
from authsrv.oauth.browser.pending import RequestCompleted
from authsrv.pages.localization import negotiate
from authsrv.pages.policy import form_target
from authsrv.pages.problems import Problem
from authsrv.pages.render import Pages
from authsrv.pages.views import (
    ChooseAccountPage,
    ClientCard,
    ConsentPage,
    DonePage,
    ErrorPage,
    Form,
    FormPostPage,
    HomePage,
    Link,
    LoggedOutPage,
    LoginPage,
    LogoutPage,
    Look,
    Notice,
    Page,
    PlatformButton,
    PlayerCard,
)
from authsrv.records import dataclass
from authsrv.redirects import append_query
from authsrv.signin import asks_every_time

_BY_REASON: Mapping[str, Problem] = {
    "unknown_client": "unknown_client",
    "no_code_grant": "unknown_client",
    "redirect_uri_missing": "bad_redirect",
    "redirect_uri_unregistered": "bad_redirect",
    "request_expired": "expired",
    "request_completed": "already_done",
    "another_session": "account_changed",
    "wrong_browser": "wrong_browser",
    "cookies_blocked": "cookies_blocked",
    "cross_site_form": "forbidden",
    "unknown_provider": "no_platform",
    "provider_not_configured": "no_platform",
    "provider_unavailable": "platform_unavailable",
    "provider_misconfigured": "platform_misconfigured",
    "logout_refused": "logout_refused",
    "account_banned": "account_banned",
    "account_not_entitled": "account_not_entitled",
    "account_restricted": "account_restricted",
    "account_action_required": "account_action_required",
    "age_restricted": "age_restricted",
    "banned": "banned",
    "switch_required": "linked_elsewhere",
    "already_linked": "link_limit",
    "link_code_invalid": "link_code",
}
_BY_KIND: tuple[tuple[type[AuthsrvError], Problem], ...] = (
    (errors.RateLimited, "rate_limited"),
    (errors.LastIdentity, "last_identity"),
    (errors.LinkLimit, "link_limit"),
    (errors.RelinkCooldown, "relink_cooldown"),
    (errors.StateChanged, "account_changed"),
    (errors.LaterChanges, "account_changed"),
    (errors.NotLinked, "account_changed"),
    (errors.AccessDenied, "kept_out"),
    (errors.NotFound, "not_found"),
    (errors.MethodNotAllowed, "method"),
    (errors.PayloadTooLarge, "too_large"),
    (errors.UriTooLong, "too_large"),
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the screens know of the server: its issuer, its projects, and its platforms by name.

    `platforms_of` names those that sign players of a project in by the browser; `titles` are what players call them;
    `provider_of` names the one that vouches for a kind of identity.
    """

    issuer: str
    dev: bool
    titles: Mapping[str, str]
    projects: Callable[[], Mapping[str, Project]]
    client: Callable[[str], Client | None]
    platforms_of: Callable[[str], tuple[str, ...]]
    provider_of: Callable[[str], str]


class Screens:
    """Draws the pages of one server."""

    def __init__(self, pages: Pages, facts: Facts) -> None:
        self._pages = pages
        self._facts = facts
        self._account_page = f"{facts.issuer}/account"

    def question(self, request: Request, asked: Question) -> Response:
        """The sign-in page, the choice of accounts, or consent."""
        remember(request, asked.target.client.project, asked.ui_locales)
        if asked.step == "login" or asked.signed_in is None:
            return self._draw(request.scope, self._login(asked))
        form, player = self._form(asked), self.player(asked.signed_in)
        client, targets = card_of(asked.target.client), self._targets(asked.target.redirect_uri)
        if asked.step == "select_account":
            return self._draw(request.scope, ChooseAccountPage(form, client, player, form_targets=targets))
        uri = asked.target.redirect_uri
        native = asked.target.client.native and asks_every_time(asked.target.client, uri)
        host = "" if native else urlsplit(uri).hostname or ""
        page = ConsentPage(form, client, player, asked.scope, host, native, form_targets=targets)
        return self._draw(request.scope, page)

    def form_post(self, request: Request, redirect_uri: str, fields: tuple[tuple[str, str], ...]) -> Response:
        """The page that posts an answer to the client (OAuth 2.0 Form Post Response Mode)."""
        return self._draw(request.scope, FormPostPage(redirect_uri, fields, (form_target(redirect_uri),)))

    def home(self, request: Request) -> Response:
        """The sign-in page for somebody whom nobody sent."""
        return self.draw(request, HomePage(self._account_page))

    def logout(self, request: Request, asked: Asking, query: str) -> Response:
        """The question whether to sign out. `query` holds the parameters of the logout request."""
        project = self._facts.projects().get(asked.signed_in.session.project)
        if project:
            remember(request, project)
        form = Form(f"{self._facts.issuer}/oauth2/logout/confirm", query, asked.csrf)
        client = card_of(asked.client) if asked.client else None
        page = LogoutPage(form, client, self.player(asked.signed_in), self.anywhere)
        return self._draw(request.scope, page)

    def logged_out(self, request: Request, ended: SignedOut) -> Response:
        """The end of a logout."""
        if ended.client is None:
            page = LoggedOutPage(None, ended.continue_to, ended.frames, account=self._account_page)
            return self._draw(request.scope, page)
        remember(request, ended.client.project)
        native = asks_every_time(ended.client, ended.continue_to) and ended.client.native
        back = self._way_back(ended.client)
        return self._draw(
            request.scope, LoggedOutPage(card_of(ended.client), ended.continue_to, ended.frames, native, back)
        )

    def error(self, scope: Scope, error: AuthsrvError, reference: str) -> Response:
        """What went wrong, what to do, and under which reference the log knows more.

        An endpoint that knows a way to go on leaves its address in the request's state as `again`, or `is_account` for
        the account page; the name of the platform that the error is about as `platform`, and the client that the player
        comes from as `client_id`.
        """
        if isinstance(error, RequestCompleted) and error.client_id.startswith(ACCOUNT_PREFIX):
            return self._draw(scope, DonePage(None, self._account_page), error.status)
        client = self._facts.client(error.client_id) if isinstance(error, RequestCompleted) else None
        if client:
            scope["state"]["project"] = client.project
            return self._draw(scope, DonePage(card_of(client)), error.status)
        page = ErrorPage(
            problem_of(error),
            reference,
            again=scope["state"].get("again", ""),
            account=self._account_page
            if scope["path"].startswith("/account") or "is_account" in scope["state"]
            else "",
            parameter=error.parameter,
            platform=self._facts.titles.get(scope["state"].get("platform", ""), ""),
            action_url=error.interaction_url,
            retry_after=error.retry_after,
            until=error.facts.get("until", 0),
        )
        response = self._draw(scope, page, error.status)
        if error.retry_after is not None:
            response.headers["retry-after"] = str(error.retry_after)
        return response

    def draw(self, request: Request, page: Page, status: int = 200) -> Response:
        """A page, in the player's language and the project's look."""
        return self._draw(request.scope, page, status)

    def _login(self, asked: Question) -> LoginPage:
        notice: Notice = ("other_account" if asked.other_account else "again") if asked.signed_in else ""
        project = asked.target.client.project.key
        buttons = tuple(
            PlatformButton(name, self._facts.titles[name], f"{self._facts.issuer}/login/{name}")
            for name in self._facts.platforms_of(project)
        )
        # Whichever platform is chosen, its page may lie anywhere.
        targets = tuple(dict.fromkeys((*self._targets(asked.target.redirect_uri), "https:")))
        client = None if asked.target.client.is_account_page else card_of(asked.target.client)
        return LoginPage(self._form(asked), client, buttons, notice, form_targets=targets)

    def _form(self, asked: Question) -> Form:
        return Form(f"{self._facts.issuer}/login", asked.handle, asked.csrf, asked.session)

    def _targets(self, redirect_uri: str) -> tuple[str, ...]:
        """Where a form may end: the client's address, and whatever it leads to from there at once."""
        return tuple(dict.fromkeys((*self.anywhere, form_target(redirect_uri))))

    @property
    def anywhere(self) -> tuple[str, ...]:
        """Where a form may end that leads to a platform's page."""
        return ("https:", "http:") if self._facts.dev else ("https:",)

    def player(self, signed_in: SignedIn) -> PlayerCard:
        """Who is signed in, as pages call them."""
        platform = signed_in.session.platform
        return PlayerCard(signed_in.player.display_name, self._facts.titles.get(platform, platform))

    def _way_back(self, client: Client) -> Link | None:
        """To the client's own page, or else to where it begins a sign-in, if its entry has one of them."""
        url = client.links.client_uri or (self.opening(client) if client.links.initiate_login_uri else "")
        return Link(client.name, url) if url else None

    def opening(self, client: Client) -> str:
        """The address at which a game begins a sign-in by itself (OpenID Connect Core section 4)."""
        return append_query(client.links.initiate_login_uri, [("iss", self._facts.issuer)])

    def _draw(self, scope: Scope, page: Page, status: int = 200) -> Response:
        accepted = b",".join(value for name, value in scope["headers"] if name == b"accept-language")
        locale = negotiate(scope["state"].get("ui_locales", ""), accepted.decode("latin-1"))
        return self._pages.render(page, self._look(scope), locale, status=status)

    def _look(self, scope: Scope) -> Look:
        project = self._project(scope["state"])
        if project is None:
            return Look(urlsplit(self._facts.issuer).hostname or "")
        look = project.look
        return Look(
            project_name=project.name,
            logo=f"{self._facts.issuer}/assets/{project.key}/logo" if look.logo else "",
            accent=look.accent,
            accent_dark=look.accent_dark,
            support_url=look.support_url,
            privacy_url=look.privacy_url,
            terms_url=look.terms_url,
        )

    def _project(self, state: Mapping[str, Any]) -> Project | None:
        """The one that the request is about, by itself or by the client that the player comes from."""
        client = self._facts.client(state.get("client_id", ""))
        return state.get("project") or (client.project if client else self._only_project())

    def _only_project(self) -> Project | None:
        projects = list(self._facts.projects().values())
        return projects[0] if len(projects) == 1 else None


def remember(request: Request, project: Project, ui_locales: str = "") -> None:
    """Let every page of this request, errors too, have the project's look and the language that was asked for."""
    request.scope["state"]["project"] = project
    if ui_locales:
        request.scope["state"]["ui_locales"] = ui_locales


def problem_of(error: AuthsrvError) -> Problem:
    """What a player is told about an error."""
    if error.reason in _BY_REASON:
        return _BY_REASON[error.reason]
    for kind, problem in _BY_KIND:
        if isinstance(error, kind):
            return problem
    if error.reason.startswith(("credential_", "signature_")):
        return "platform_refused"
    return "server_error" if error.status >= 500 else "bad_request"


def card_of(client: Client) -> ClientCard:
    """A client in its own words."""
    links = client.links
    return ClientCard(client.name, "", links.policy_uri, links.tos_uri, links.client_uri)
