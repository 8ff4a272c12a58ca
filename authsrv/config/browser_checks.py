"""What must hold between a client's settings for the sign-in in browsers, as a table of checks.

Owns the rules for links, logout and response modes. Knows no other client and no file; what the server itself calls
is judged in `outbound_checks.py`.
"""

from collections.abc import Iterator
from functools import partial

from authsrv.config.client_checks import Check, ClientEntry, redirect_problems
from authsrv.config.problems import Finding
from authsrv.config.web_addresses import origin_of, page_problem

_LINKS = ("client_uri", "policy_uri", "tos_uri")
_STANDARD_SETTINGS = (
    *_LINKS,
    "initiate_login_uri",
    "response_modes",
    "state",
    "nonce",
    "default_max_age",
    "userinfo_alg",
    "post_logout_redirect_uris",
    "backchannel_logout_uri",
    "backchannel_logout_session_required",
    "frontchannel_logout_uri",
    "frontchannel_logout_session_required",
    "refresh_ends_with_session",
)
"""Settings of the OpenID Connect endpoints, at which clients of the Xsolla profile are unknown."""
_PLAYER_SETTINGS = (*_STANDARD_SETTINGS, "profile_in_id_token")
"""Settings that say something about players only."""


def _has_players(entry: ClientEntry) -> bool:
    return "authorization_code" in entry.settings.effective_grants


def _signs_in_browsers(entry: ClientEntry) -> bool:
    return _has_players(entry) and entry.settings.compat != "xsolla"


def _needs_players(entry: ClientEntry) -> Iterator[Finding]:
    if _has_players(entry):
        return
    for name in _PLAYER_SETTINGS:
        if name in entry.settings.model_fields_set:
            yield Finding((name,), "this client signs no players in, so this has no effect", "remove it")


def _needs_standard_surface(entry: ClientEntry) -> Iterator[Finding]:
    if _signs_in_browsers(entry) or not _has_players(entry):
        return
    for name in _STANDARD_SETTINGS:
        if name in entry.settings.model_fields_set:
            yield Finding(
                (name,),
                'a client with compat = "xsolla" works below /api only, where this has no effect',
                "remove it, or write a second client without compat for the sign-in in browsers",
            )


def _page(name: str, entry: ClientEntry, *, fragment: bool = True) -> Iterator[Finding]:
    url: str = getattr(entry.settings, name)
    problem = page_problem(url, dev=entry.dev, fragment=fragment) if url else None
    if problem:
        yield problem.below((name,))


def _post_logout_redirect_uris(entry: ClientEntry) -> Iterator[Finding]:
    settings = entry.settings
    yield from redirect_problems("post_logout_redirect_uris", settings.post_logout_redirect_uris, settings)


def _frontchannel_logout_uri(entry: ClientEntry) -> Iterator[Finding]:
    """OpenID Connect Front-Channel Logout 1.0 section 2."""
    settings = entry.settings
    unsound = list(_page("frontchannel_logout_uri", entry, fragment=False))
    yield from unsound
    if unsound or not settings.frontchannel_logout_uri:
        return
    if origin_of(settings.frontchannel_logout_uri) not in map(origin_of, settings.redirect_uris):
        yield Finding(
            ("frontchannel_logout_uri",),
            "no redirect URI of the client has the scheme, host and port of this page",
            "move the page, or register a redirect URI beside it",
        )


def _response_modes(entry: ClientEntry) -> Iterator[Finding]:
    modes = entry.settings.response_modes
    if not modes:
        yield Finding(("response_modes",), "the list of response modes is empty", "leave it out for the default")
    for place, mode in enumerate(modes):
        if mode in modes[:place]:
            yield Finding(("response_modes", place), "the response mode stands here twice", "remove one")


BROWSER_CHECKS: tuple[tuple[tuple[str, ...], Check], ...] = (
    (("grants", "type"), _needs_players),
    (("grants", "type", "compat"), _needs_standard_surface),
    *(((name,), partial(_page, name)) for name in _LINKS),
    # OpenID Connect Core section 4: parameters are appended to it.
    (("initiate_login_uri",), partial(_page, "initiate_login_uri", fragment=False)),
    (("post_logout_redirect_uris", "native", "compat"), _post_logout_redirect_uris),
    (("frontchannel_logout_uri", "redirect_uris"), _frontchannel_logout_uri),
    (("response_modes",), _response_modes),
)
"""The settings a check reads, and the check: one whose settings could not be read is left out."""


def browser_warnings(entry: ClientEntry) -> Iterator[Finding]:
    """What is allowed but risky, or unlikely to be meant."""
    settings = entry.settings
    if settings.effective_type == "confidential" and "fragment" in settings.response_modes:
        yield Finding(
            ("response_modes", settings.response_modes.index("fragment")),
            "a fragment never reaches the server that keeps this client's secret",
            "remove fragment; form_post keeps the code out of addresses as well",
        )
    if _signs_in_browsers(entry) and not settings.first_party and not settings.policy_uri:
        yield Finding(
            ("policy_uri",),
            "players are asked to allow this client something, and not told what it does with what it learns",
            "add policy_uri with the address of its privacy policy",
        )
