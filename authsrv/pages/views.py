"""What each page shows: one frozen class per page, and the parts that pages share.

Plain data, filled by the caller. Knows neither templates nor languages; texts are chosen by closed codes.
"""

from typing import ClassVar, Literal

from authsrv.pages.problems import Problem
from authsrv.records import dataclass

Done = Literal["", "end", "withdraw", "link", "unlink", "undo", "again"]
"""What the account page says was done, or that one can go on: see `templates/pages/account.html` for the words."""

Doing = Literal[
    "created",
    "linked",
    "unlinked",
    "gained",
    "lost",
    "switched",
    "merged",
    "undone",
    "banned",
    "unbanned",
    "renamed",
    "consent_given",
    "consent_withdrawn",
]
"""What was done to an account, in its player's words: see `templates/pages/account.html`."""

Notice = Literal["", "again", "other_account", "expired", "cancelled", "provider_unavailable", "refused"]
"""Why the player is asked to sign in (again): see `templates/pages/login.html` for the words."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a project's pages look.

    `logo` is a path of ours, such as `/assets/skyforge/logo`. Colours are `#rrggbb`; without `accent_dark` the
    dark scheme uses `accent`. Links are https URLs. Whatever is empty is left out.
    """

    project_name: str
    logo: str = ""
    accent: str = ""
    accent_dark: str = ""
    support_url: str = ""
    privacy_url: str = ""
    terms_url: str = ""


@dataclass(frozen=True, slots=True)
class ClientCard:
    """The client that the player comes from, in its own words (RFC 7591 section 2). `logo` is a path of ours."""

    name: str
    logo: str = ""
    policy_uri: str = ""
    tos_uri: str = ""
    client_uri: str = ""


@dataclass(frozen=True, slots=True)
class PlayerCard:
    """The player who is signed in. Without a display name the page says "your <platform> account"."""

    display_name: str
    platform_title: str


@dataclass(frozen=True, slots=True)
class Form:
    """Where a page's form posts to, and its hidden fields. An empty `request` or `session` is left out.

    `session` names the session that the page speaks of, so that another tab cannot change whose consent it is.
    """

    action: str
    request: str
    csrf: str
    session: str = ""


@dataclass(frozen=True, slots=True)
class PlatformButton:
    """A button that posts the page's form to `action`. Its id is `sign-in-<name>`."""

    name: str
    title: str
    action: str


@dataclass(frozen=True, slots=True)
class Link:
    """A way on from where a player ended up: "Back to <name>"."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class OpenLink:
    """A game that can be opened from here."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class LoginPage:
    """Choose a platform. The cancel button posts `decision=cancel` to `form.action`. Without a client it leads to the
    account page.

    `form_targets`, here and below: where the browser may end up after the form, since Chromium holds the redirects
    that follow it against the content-security-policy too: `https:`, `http://127.0.0.1:*`, `com.example.game:`.
    `policy.form_target` makes one from a redirect URI.
    """

    TEMPLATE: ClassVar[str] = "login.html"

    form: Form
    client: ClientCard | None
    platforms: tuple[PlatformButton, ...]
    notice: Notice = ""
    cancellable: bool = True
    form_targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChooseAccountPage:
    """Posts `decision=continue`, `cancel`, or `switch` where no `platforms` are given to choose another account by."""

    TEMPLATE: ClassVar[str] = "choose_account.html"

    form: Form
    client: ClientCard
    player: PlayerCard
    platforms: tuple[PlatformButton, ...] = ()
    form_targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConsentPage:
    """Posts `decision=allow`, `deny` or `switch`.

    `redirect_host` is shown for web clients; a `native` one goes on in an application on the player's device.
    """

    TEMPLATE: ClassVar[str] = "consent.html"

    form: Form
    client: ClientCard
    player: PlayerCard
    scopes: tuple[str, ...]
    redirect_host: str
    native: bool
    form_targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """What went wrong and what to do. The HTTP status is the caller's.

    `again` is an address of ours where the sign-in goes on, with whatever platform the player then chooses; `account`
    that of the account page, for what went wrong there.
    `parameter` is the name of a faulty request parameter, `platform` the title of the platform concerned,
    `action_url` its page for `account_action_required`, `retry_after` the seconds for `rate_limited`, `until` the Unix
    second at which a ban ends, 0 for one without end.
    """

    TEMPLATE: ClassVar[str] = "error.html"

    problem: Problem
    reference: str
    return_to: Link | None = None
    again: str = ""
    parameter: str = ""
    platform: str = ""
    action_url: str = ""
    retry_after: int | None = None
    account: str = ""
    until: int = 0


@dataclass(frozen=True, slots=True)
class DonePage:
    """Shown for a sign-in that was already completed: the back button, or a second click.

    One to the account page has no client, and leads on to `account`.
    """

    TEMPLATE: ClassVar[str] = "done.html"

    client: ClientCard | None
    account: str = ""


@dataclass(frozen=True, slots=True)
class HomePage:
    """The login page without a request, for somebody who is not signed in. `account` is the way to do so."""

    TEMPLATE: ClassVar[str] = "home.html"

    account: str


@dataclass(frozen=True, slots=True)
class ChooseProjectPage:
    """Whose account page the player wants, where nobody is signed in and there are several."""

    TEMPLATE: ClassVar[str] = "choose_project.html"

    links: tuple[OpenLink, ...]


@dataclass(frozen=True, slots=True)
class IdentityRow:
    """A platform account of the player: linked when, and used when, in Unix seconds.

    `ref` names it in the form; it is empty for the only way in, which cannot be unlinked. `mark` tells several of one
    platform apart.
    """

    ref: str
    platform_title: str
    mark: str
    linked_at: int
    used_at: int


@dataclass(frozen=True, slots=True)
class Linkable:
    """A platform whose account the player may link. Its button has the id `link-<name>`."""

    name: str
    title: str


@dataclass(frozen=True, slots=True)
class EventRow:
    """Something that was done to the account. `name` is the title of the platform or client concerned, if there is one.

    `by_others` tells that the player did not do it by themselves. `undo` names it in the form; empty for what cannot be
    undone here.
    """

    doing: Doing
    at: int
    name: str = ""
    by_others: bool = False
    undo: str = ""


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A browser in which the player is signed in: by which platform, since when, and used when, in Unix seconds.

    `ref` names it in the form; it is empty for this browser, which signs out by a form of its own.
    """

    ref: str
    platform_title: str
    begun_at: int
    used_at: int


@dataclass(frozen=True, slots=True)
class ConsentRow:
    """What a client may have, and since when."""

    client_id: str
    name: str
    scopes: tuple[str, ...]
    given_at: int


@dataclass(frozen=True, slots=True)
class AccountPage:
    """A player's own page. Times are Unix seconds.

    `form` posts `decision=link`, `unlink`, `end`, `withdraw` or `undo` with the row or platform concerned as `item`, or
    `download`; `sign_out` signs out here, and with `decision=everywhere` in all browsers. `delete` is the page on which
    an account is deleted. `games` open games, `elsewhere` the account pages of other projects.
    """

    TEMPLATE: ClassVar[str] = "account.html"

    player: PlayerCard
    since: int
    now: int
    form: Form
    sign_out: Form
    delete: str
    identities: tuple[IdentityRow, ...]
    sessions: tuple[SessionRow, ...]
    linkable: tuple[Linkable, ...] = ()
    consents: tuple[ConsentRow, ...] = ()
    events: tuple[EventRow, ...] = ()
    games: tuple[OpenLink, ...] = ()
    elsewhere: tuple[OpenLink, ...] = ()
    done: Done = ""
    form_targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlayerSummary:
    """A player as one of two to choose between: since when, in Unix seconds, and the titles of their platforms."""

    display_name: str
    since: int
    platforms: tuple[str, ...]


ConflictChoice = Literal["switch", "transfer", "merge"]


@dataclass(frozen=True, slots=True)
class ConflictPage:
    """A platform account that shall be linked is another player's.

    Posts `decision=switch`, `transfer`, `merge-current`, `merge-other` or `cancel`, with `item`. `leaves_nothing` tells
    that a transfer takes the other player's last way in.
    """

    TEMPLATE: ClassVar[str] = "conflict.html"

    form: Form
    item: str
    platform_title: str
    current: PlayerSummary
    other: PlayerSummary
    choices: tuple[ConflictChoice, ...]
    leaves_nothing: bool = False


@dataclass(frozen=True, slots=True)
class DeleteAccountPage:
    """The second step to the end of an account. Posts `decision=delete`, and `confirm=yes` if the box is ticked."""

    TEMPLATE: ClassVar[str] = "delete_account.html"

    form: Form
    player: PlayerCard
    account: str
    unconfirmed: bool = False


@dataclass(frozen=True, slots=True)
class DeletedPage:
    """The account is gone."""

    TEMPLATE: ClassVar[str] = "deleted.html"


LinkNotice = Literal["", "wrong", "cancelled"]
"""What came of the last code: see `templates/pages/link_code.html` for the words."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """The player to whom a platform account will be linked; since when they are one, in Unix seconds."""

    display_name: str
    since: int


@dataclass(frozen=True, slots=True)
class LinkCodePage:
    """Takes the code that another device shows. Posts it as `code`, and `provider` if the address named a platform."""

    TEMPLATE: ClassVar[str] = "link_code.html"

    action: str
    code: str = ""
    provider: str = ""
    notice: LinkNotice = ""


@dataclass(frozen=True, slots=True)
class LinkCheckPage:
    """Whose player it is to which something will be linked, and the number that the other device must show as well.

    `check_number` is empty where the other device shows none. `signed_in_as` is another player who is signed in in this
    browser, if there is one. Each of `platforms` leads away; `decision=cancel` links nothing.
    """

    TEMPLATE: ClassVar[str] = "link_check.html"

    form: Form
    client: ClientCard
    receiver: Receiver
    check_number: str
    platforms: tuple[PlatformButton, ...]
    signed_in_as: PlayerCard | None = None
    form_targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkConfirmPage:
    """What will be linked to whom. Posts `decision=link` or `cancel`.

    `account` is the name that the platform has for its account, or its id without one.
    """

    TEMPLATE: ClassVar[str] = "link_confirm.html"

    form: Form
    platform_title: str
    account: str
    receiver: Receiver
    check_number: str
    signed_in_as: PlayerCard | None = None
    form_targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkedPage:
    """It is linked; the player goes on at the other device."""

    TEMPLATE: ClassVar[str] = "linked.html"

    client: ClientCard
    platform_title: str
    receiver: Receiver


@dataclass(frozen=True, slots=True)
class LogoutPage:
    """Ask before signing out. Posts `decision=yes` or `no`."""

    TEMPLATE: ClassVar[str] = "logout.html"

    form: Form
    client: ClientCard | None
    player: PlayerCard
    form_targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoggedOutPage:
    """Signed out. Loads `frames` (front-channel logout), then goes on to `continue_to`, whether they load or not.

    `native` says that `continue_to` leads into an application on the player's device. Without `continue_to` the player
    stays; `return_to` or `account`, the account page, is offered as a way on.
    """

    TEMPLATE: ClassVar[str] = "logged_out.html"

    client: ClientCard | None = None
    continue_to: str = ""
    frames: tuple[str, ...] = ()
    native: bool = False
    return_to: Link | None = None
    account: str = ""


@dataclass(frozen=True, slots=True)
class FormPostPage:
    """The authorization response as a form (OAuth 2.0 Form Post Response Mode), sent by a script or by its button."""

    TEMPLATE: ClassVar[str] = "form_post.html"

    redirect_uri: str
    fields: tuple[tuple[str, str], ...]
    form_targets: tuple[str, ...]


Page = (
    LoginPage
    | ChooseAccountPage
    | ConsentPage
    | ErrorPage
    | DonePage
    | HomePage
    | ChooseProjectPage
    | AccountPage
    | ConflictPage
    | DeleteAccountPage
    | DeletedPage
    | LinkCodePage
    | LinkCheckPage
    | LinkConfirmPage
    | LinkedPage
    | LogoutPage
    | LoggedOutPage
    | FormPostPage
)
