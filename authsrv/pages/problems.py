"""The words for everything that can go wrong in the browser: a title, what happened, what to do.

The texts are English and the ids of their translations; they never show what an attacker sent. Knows no page.
"""

from collections.abc import Mapping
from typing import Final, Literal

from authsrv.records import dataclass

Problem = Literal[
    "unknown_client",
    "bad_redirect",
    "bad_request",
    "expired",
    "already_done",
    "wrong_browser",
    "cookies_blocked",
    "not_found",
    "method",
    "too_large",
    "forbidden",
    "no_platform",
    "platform_refused",
    "platform_unavailable",
    "platform_misconfigured",
    "account_banned",
    "account_not_entitled",
    "account_restricted",
    "account_action_required",
    "banned",
    "kept_out",
    "age_restricted",
    "rate_limited",
    "server_error",
    "logout_refused",
    "last_identity",
    "link_limit",
    "relink_cooldown",
    "account_changed",
    "linked_elsewhere",
    "link_code",
]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Three texts for the player; each is the id of its translation."""

    title: str
    happened: str
    advice: str


def N_(text: str) -> str:  # noqa: N802 - the name by which gettext's tools find texts that are translated later
    """Mark a text for translation."""
    return text


_START_AGAIN: Final = N_("Go back to the game or app and start again from there.")
_TELL_ITS_MAKERS: Final = N_(
    "Go back and try again. If it stays like this, tell the people who make the game or app, and give them the "
    "reference below."
)
_ASK_SUPPORT: Final = N_("If you think this is a mistake, contact support and give them the reference below.")

EXPLANATIONS: Final[Mapping[Problem, Explanation]] = {
    "unknown_client": Explanation(
        N_("This app is not known here"),
        N_("You were sent here by a game or app that this sign-in does not know, or that has been switched off."),
        _TELL_ITS_MAKERS,
    ),
    "bad_redirect": Explanation(
        N_("The way back is not safe"),
        N_(
            "You would have been sent on to an address that is not registered for this game or app. "
            "To protect your account, we stopped here."
        ),
        _TELL_ITS_MAKERS,
    ),
    "bad_request": Explanation(
        N_("This request has a fault"),
        N_("The game or app asked for the sign-in in a way that we cannot accept."),
        _TELL_ITS_MAKERS,
    ),
    "expired": Explanation(
        N_("This sign-in can no longer be finished"),
        N_(
            "It took too long, or too many were begun in other tabs. To keep your account safe, a sign-in is open for "
            "a limited time only."
        ),
        _START_AGAIN,
    ),
    "already_done": Explanation(
        N_("This sign-in is already over"),
        N_("It was completed or cancelled before, perhaps in another tab."),
        N_("If you are not signed in where you want to play, start again from the game or app."),
    ),
    "wrong_browser": Explanation(
        N_("This sign-in began in another browser"),
        N_("A sign-in has to be finished in the browser where it began. This seems to be a different one."),
        N_("Start again from the game or app. If somebody sent you a link to this page, do not use it."),
    ),
    "cookies_blocked": Explanation(
        N_("This sign-in cannot go on in this browser"),
        N_(
            "It began in another browser, or this one blocks cookies. We need one cookie during the sign-in, so that "
            "nobody else can take it over, and it did not come back to us."
        ),
        N_(
            "If you began in another browser, go on there. Otherwise allow cookies for this site, then start again "
            "from the game or app. If somebody sent you a link to this page, do not use it."
        ),
    ),
    "not_found": Explanation(
        N_("This page does not exist"),
        N_("The address may be mistyped, or the page has moved."),
        _START_AGAIN,
    ),
    "method": Explanation(
        N_("This page cannot be opened like that"),
        N_("The address is a step in the middle of a sign-in and does not work on its own."),
        _START_AGAIN,
    ),
    "too_large": Explanation(
        N_("This request is too large"),
        N_("The game or app sent more than we accept."),
        _TELL_ITS_MAKERS,
    ),
    "forbidden": Explanation(
        N_("This came from another site"),
        N_("Your browser says that a different site sent this form. To protect your account, nothing was done."),
        N_("Start again from the game or app. If another site brought you here unasked, close this page."),
    ),
    "no_platform": Explanation(
        N_("No sign-in is available here"),
        N_("None of the platforms that this game or app accepts can be used in a browser."),
        N_("Sign in inside the game instead."),
    ),
    "platform_refused": Explanation(
        N_("The platform did not confirm the sign-in"),
        N_("We could not make sure that this account is yours. The confirmation may have been too old or used before."),
        N_("Try again, or choose another way to sign in."),
    ),
    "platform_unavailable": Explanation(
        N_("The platform does not answer"),
        N_("It may be overloaded or down at the moment. This is not your fault."),
        N_("Try again in a few minutes."),
    ),
    "platform_misconfigured": Explanation(
        N_("This platform cannot be used right now"),
        N_("Its sign-in is not set up correctly on our side. This is not your fault."),
        N_("Try again later. If you contact support, give them the reference below."),
    ),
    "account_banned": Explanation(
        N_("This account is banned"),
        N_("The account that you chose may not be used for this game."),
        _ASK_SUPPORT,
    ),
    "account_not_entitled": Explanation(
        N_("This account does not own the game"),
        N_("The platform says that the game does not belong to the account that you chose."),
        N_("Use the account with which you got the game, or get it on the platform first."),
    ),
    "account_restricted": Explanation(
        N_("This account is restricted"),
        N_("The platform does not let this account be used here, for example because of family or region settings."),
        N_("Check the settings of the account on the platform, or ask the person who manages it."),
    ),
    "account_action_required": Explanation(
        N_("The platform needs something from you first"),
        N_("There is something to do with your account on the platform, such as accepting new terms."),
        N_("Open the platform, finish what it asks for, then start again from the game or app."),
    ),
    "banned": Explanation(
        N_("You are banned"),
        N_("The people who make this game have banned you from it."),
        _ASK_SUPPORT,
    ),
    "kept_out": Explanation(
        N_("You cannot sign in here"),
        N_("Your account cannot be used here at the moment."),
        _ASK_SUPPORT,
    ),
    "age_restricted": Explanation(
        N_("Please ask an adult"),
        N_("You cannot go on here on your own."),
        N_("Ask a parent or guardian to help you with the settings of your account."),
    ),
    "rate_limited": Explanation(
        N_("Too many attempts"),
        N_("There were many attempts within a short time, so we take a break."),
        N_("Wait a little before you try again."),
    ),
    "server_error": Explanation(
        N_("Something went wrong on our side"),
        N_("This is not your fault. The cause has been recorded."),
        N_("Try again in a moment. If you contact support, give them the reference below."),
    ),
    "logout_refused": Explanation(
        N_("You were not signed out"),
        N_("The request to sign you out did not prove that it came from a game or app that you use."),
        N_("Sign out in the game or app itself."),
    ),
    "last_identity": Explanation(
        N_("This is your only way to sign in"),
        N_("Without it you could not come back to your account, so it stays linked."),
        N_("Link another platform first."),
    ),
    "link_limit": Explanation(
        N_("There is another one already"),
        N_("Your account has as many accounts of this platform as the game allows."),
        N_("Unlink the other one first."),
    ),
    "relink_cooldown": Explanation(
        N_("It is too early for that"),
        N_("This platform account was unlinked from another player lately and cannot be linked yet."),
        N_("Try again in a few days."),
    ),
    "linked_elsewhere": Explanation(
        N_("This platform account is another player"),
        N_("The platform account that you chose signs in another player of this game already. Nothing was changed."),
        N_("Choose another platform account, or sign in with this one and unlink it there first."),
    ),
    "link_code": Explanation(
        N_("This code is not good any more"),
        N_("It is too old, was used before, or was replaced by a newer one."),
        N_("Ask for a new code on the other device."),
    ),
    "account_changed": Explanation(
        N_("Your account has changed meanwhile"),
        N_("Something else was done to it at the same time, so nothing was done here."),
        N_("Open your account and look again."),
    ),
}
