"""The start checks of Steam's block: what ends the start, and what is only told."""

import hashlib
from typing import Any

import pytest
from pydantic import ValidationError

from authsrv.platforms.steam import settings
from authsrv.platforms.steam.settings import SteamAppSettings, SteamHosts, SteamSettings

KEY = "0123456789ABCDEF0123456789ABCDEF"
APP_KEY = "ab" * 32
GOOD: dict[str, Any] = {"app_ids": [4800001], "web_api_key": KEY, "identity": "login-studio"}


def block(**changes: Any) -> SteamSettings:
    return SteamSettings(**{**GOOD, **changes})


def test_the_least_that_is_needed_is_good_and_quiet() -> None:
    assert block().problems(dev=False) == []
    assert block().warnings() == []


def test_the_defaults_are_those_of_the_document() -> None:
    app = block().for_app(4800001)
    assert (app.host, app.offline_check, app.encrypted_max_age) == ("partner", "advise", 300)
    assert (app.reject_vac, app.reject_publisher_ban, app.allow_family_sharing) == (False, True, True)
    assert block().browser_sign_in
    switches = (app.allow_session_tickets, app.require_ownership, app.fetch_profile, app.encrypted_require_nonce)
    assert switches == (False, False, False, False)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        pytest.param({"web_api_key": None}, "web_api_key is missing", id="no key"),
        pytest.param({"web_api_key": "a key"}, "web_api_key is missing or has characters", id="a key with a space"),
        pytest.param({"web_api_key": "k\u00e9y"}, "web_api_key is missing or has characters", id="a key beyond ASCII"),
        pytest.param({"identity": ""}, "identity is missing", id="no identity"),
        pytest.param({"identity": "x" * 32}, "identity must have 1 to 31", id="an identity of 32"),
        pytest.param({"identity": "st\u00fcdio"}, "identity must have 1 to 31", id="an identity beyond ASCII"),
        pytest.param({"identity": 'a"b'}, "identity must have 1 to 31", id="an identity with a quote"),
        pytest.param({"identity": "AzurePlayFab"}, "identity belongs to another service", id="PlayFab's identity"),
        pytest.param({"identity": "epiconlineservices"}, "identity belongs to another service", id="Epic's identity"),
        pytest.param({"identity": "UNITYauthenticationservice"}, "identity belongs to another", id="Unity's identity"),
        pytest.param({"app_ids": [7, 7]}, "app_ids names 7 more than once", id="an app twice"),
        pytest.param({"apps": {"7": {}}}, "apps.7 is not an app id of app_ids", id="a table of no app"),
        pytest.param(
            {"apps": {"4800001": {"identity": ""}}}, "app 4800001: identity is missing", id="an app's identity"
        ),
        pytest.param({"system_public_key": "no PEM"}, "system_public_key is not the PEM", id="no PEM"),
        pytest.param({"system_public_key": "\u00fc"}, "system_public_key is not the PEM", id="PEM beyond ASCII"),
        pytest.param({"encrypted_ticket_key": "ab" * 31}, "must have 64 hex digits", id="a short app key"),
        pytest.param({"encrypted_ticket_key": "zz" * 32}, "must have 64 hex digits", id="an app key that is no hex"),
        pytest.param(
            {"app_ids": [480], "encrypted_ticket_key": APP_KEY}, "example app 480", id="the example app's tickets"
        ),
        pytest.param({"hosts": {"public": "http://127.0.0.1:1"}}, "hosts may be changed only", id="other hosts"),
    ],
)
def test_problems_name_key_and_remedy(changes: dict[str, Any], text: str) -> None:
    (problem,) = block(**changes).problems(dev=False)
    assert text in problem


@pytest.mark.parametrize("dev", [False, True])
def test_the_published_example_key_is_refused_everywhere(dev: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    # The published key itself stands in no file of ours: only its digest is known.
    digest = hashlib.sha256(bytes.fromhex(APP_KEY)).hexdigest()
    assert block(encrypted_ticket_key=APP_KEY).problems(dev=dev) == []
    monkeypatch.setattr(settings, "_EXAMPLE_KEY_SHA256", digest)
    (problem,) = block(encrypted_ticket_key=APP_KEY).problems(dev=dev)
    assert "published key" in problem


def test_a_development_setup_may_use_the_example_app_and_other_hosts() -> None:
    hosts = {"partner": "http://127.0.0.1:8090/steam/partner"}
    assert block(app_ids=[480], encrypted_ticket_key=APP_KEY, hosts=hosts).problems(dev=True) == []


@pytest.mark.parametrize("url", ["ftp://a.test", "https://a.test/", "//a.test", "https://u@a.test", "https://a.test?x"])
def test_a_base_url_is_scheme_host_port_and_path(url: str) -> None:
    with pytest.raises(ValidationError, match="this is not a base URL"):
        block(hosts={"partner": url})


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        pytest.param({"web_api_key": "short"}, "does not look like a key", id="an unusual key"),
        pytest.param({"identity": "none"}, "identity is none", id="no identity"),
        pytest.param({"allow_session_tickets": True}, "allow_session_tickets is on", id="session tickets"),
        pytest.param(
            {"host": "public", "require_ownership": True}, "needs a publisher key", id="ownership by user key"
        ),
        pytest.param({"encrypted_ticket_key": APP_KEY}, "say nothing of bans", id="bans and encrypted tickets"),
        pytest.param(
            {
                "encrypted_ticket_key": APP_KEY,
                "reject_publisher_ban": False,
                "allow_family_sharing": False,
                "browser_sign_in": False,
            },
            "do not name the app's owner",
            id="family sharing and encrypted tickets",
        ),
        pytest.param({"reject_vac": True}, "reject_vac does not reach them", id="bans and browsers"),
        pytest.param(
            {"allow_family_sharing": False},
            "in the browser name no app's owner",
            id="family sharing and browsers",
        ),
    ],
)
def test_warnings_name_the_risk(changes: dict[str, Any], text: str) -> None:
    (warning,) = block(**changes).warnings()
    assert text in warning
    assert block(**changes).problems(dev=False) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"app_ids": []},
        {"app_ids": [0]},
        {"app_ids": [2**32]},
        {"host": "elsewhere"},
        {"offline_check": "sometimes"},
        {"encrypted_max_age": 0},
        {"idenity": "a misspelt key"},
        {"apps": {"4800001": {"app_ids": [1]}}},
    ],
    ids=str,
)
def test_types_and_names_are_strict(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        block(**changes)


def test_an_apps_own_settings_win_and_the_rest_is_the_blocks() -> None:
    settings = block(app_ids=[1, 2], fetch_profile=True, apps={"2": {"fetch_profile": False, "web_api_key": "other"}})
    first, second = settings.for_app(1), settings.for_app(2)
    assert (first.fetch_profile, second.fetch_profile) == (True, False)
    assert second.web_api_key is not None
    assert second.web_api_key.get_secret_value() == "other"
    assert second.identity == first.identity == "login-studio"


def test_secrets_are_never_printed() -> None:
    shown = repr(block(encrypted_ticket_key=APP_KEY)) + str(block().for_app(4800001))
    assert KEY not in shown
    assert APP_KEY not in shown


@pytest.mark.parametrize("model", [SteamSettings, SteamAppSettings, SteamHosts])
def test_every_setting_is_documented(model: type[SteamSettings]) -> None:
    assert all((field.description or "").endswith(".") for field in model.model_fields.values())


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"reject_vac": True, "browser_sign_in": False}, id="no sign-ins in browsers"),
        pytest.param({"allow_family_sharing": False, "require_ownership": True}, id="ownership names the owner"),
        pytest.param(
            {
                "app_ids": [1, 2],
                "apps": {"1": {"reject_vac": True, "allow_family_sharing": False}},
            },
            id="one app of two takes anybody",
        ),
    ],
)
def test_nothing_is_told_of_browsers_where_no_demand_is_missed(changes: dict[str, Any]) -> None:
    assert block(**changes).warnings() == []
