"""A whole sign-in at Steam in the browser: the same player as at a silent login, held to what the studio demands."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from authsrv.emulator.base import PLAYERS
from authsrv.emulator.steam.openid_cases import OPENID_CASES
from authsrv.platforms.base import CredentialRejected, PlatformError, Submission
from authsrv.platforms.steam.openid import SteamAssertion
from authsrv.platforms.steam.platform import SteamPlatform
from authsrv.platforms.steam.settings import SteamSettings
from tests.conformance.platform import is_public_text
from tests.support.case_ends import outcome
from tests.support.outbound import BASE_URL, AsgiOutbound
from tests.support.steam import AMBER, STATE, TRIP, ManualClock, SteamSetup, steam_setup
from tests.support.steam_openid import GOOD, VALID


@pytest.fixture
def steam() -> SteamSetup:
    return steam_setup()


# The way out


def test_the_browser_is_sent_to_steam_for_any_account_and_back_to_the_callback_with_the_state() -> None:
    platform = SteamPlatform(
        SteamSettings(app_ids=[4800001], web_api_key="k", identity="i"), AsgiOutbound(Starlette()), ManualClock()
    )
    address, _, query = platform.sign_in_url(TRIP).partition("?")
    assert address == "https://steamcommunity.com/openid/login"
    assert parse_qsl(query, strict_parsing=True) == [
        ("openid.ns", "http://specs.openid.net/auth/2.0"),
        ("openid.mode", "checkid_setup"),
        ("openid.claimed_id", "http://specs.openid.net/auth/2.0/identifier_select"),
        ("openid.identity", "http://specs.openid.net/auth/2.0/identifier_select"),
        ("openid.return_to", f"https://login.studio.test/login/steam/callback?state={STATE}"),
        ("openid.realm", "https://login.studio.test"),
    ]


def test_the_studio_chooses_whether_players_sign_in_in_browsers(steam: SteamSetup) -> None:
    assert steam.platform.signs_in_browsers
    assert not steam.with_settings(browser_sign_in=False).platform.signs_in_browsers


# A whole sign-in


@pytest.mark.parametrize(("case", "summary"), [pytest.param(n, c.summary, id=n) for n, c in OPENID_CASES.items()])
async def test_every_case_of_the_emulated_page_ends_as_its_summary_says(
    steam: SteamSetup, case: str, summary: str
) -> None:
    assert summary.startswith(await outcome(steam.sign_in(case)))


async def test_the_player_is_the_same_as_at_a_silent_login(steam: SteamSetup) -> None:
    assert await steam.sign_in() == await steam.login_as()
    assert (await steam.sign_in(player=PLAYERS["birch"])).subject == "76561202255232003"


def test_an_assertion_is_no_credential_of_a_silent_login(steam: SteamSetup) -> None:
    assert "openid" not in steam.platform.kinds
    with pytest.raises(CredentialRejected) as refused:
        steam.platform.parse(Submission(kind="openid", value=str(steam.brought_back())))
    assert refused.value.reason == "credential_unsupported"


async def test_no_error_and_no_log_line_repeats_what_the_browser_brought_and_hints_may_be_shown(
    steam: SteamSetup, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hints = []
    for case in OPENID_CASES:
        returned = dict(steam.brought_back(case))
        secrets = [returned[name] for name in ("openid.sig", "openid.response_nonce") if name in returned]
        told = []
        try:
            await steam.platform.verify(steam.platform.parse_return(TRIP, list(returned.items())))
        except PlatformError as error:
            told = [f"{error!r} {vars(error)}"]
            hints += [error.hint] if isinstance(error, CredentialRejected) else []
        told += [record.getMessage() for record in caplog.records]
        assert not [secret for secret in secrets if secret in " ".join(told)], case
    assert hints
    assert all(is_public_text(hint) for hint in hints)


# The studio's policy


@dataclass
class Studio:
    """A project of several apps, whose Steam knows who owns what. `owners` has an app id only if it is owned."""

    owners: Mapping[str, str]
    asked: list[str] = field(default_factory=list)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/openid/login", lambda _: Response(VALID), methods=["POST"]),
                Route("/ISteamUser/CheckAppOwnership/v4/", self._ownership),
                Route("/ISteamUser/GetPlayerSummaries/v2/", self._summaries),
            ]
        )

    async def outcome(self, **block: Any) -> str:
        hosts = dict.fromkeys(("partner", "public", "community"), BASE_URL)
        settings = SteamSettings(web_api_key="k", identity="i", hosts=hosts, **{"app_ids": [1, 2, 3], **block})
        platform = SteamPlatform(settings, AsgiOutbound(self.app()), ManualClock())
        fields = {name: text.replace("https://steamcommunity.com", BASE_URL) for name, text in GOOD.items()}
        credential = platform.parse_return(TRIP, [("state", STATE), *fields.items()])
        assert isinstance(credential, SteamAssertion)
        return await outcome(platform.verify(credential))

    async def _ownership(self, request: Request) -> Response:
        app_id = request.query_params["appid"]
        self.asked.append(app_id)
        return JSONResponse(
            {"appownership": {"ownsapp": app_id in self.owners, "ownersteamid": self.owners.get(app_id, "0")}}
        )

    async def _summaries(self, _: Request) -> Response:
        self.asked.append("profile")
        return JSONResponse({"response": {"players": []}})


DEMANDING = {"require_ownership": True}
FRIEND = PLAYERS["birch"].steam_id


@pytest.mark.parametrize(
    ("owners", "block", "ends", "asked"),
    [
        pytest.param({}, {}, "accepted", [], id="ownership is not demanded"),
        pytest.param({"2": AMBER.steam_id}, DEMANDING, "accepted", ["1", "2"], id="one of the apps is owned"),
        pytest.param({}, DEMANDING, "account_not_entitled", ["1", "2", "3"], id="no app is owned"),
        pytest.param(
            {}, {**DEMANDING, "apps": {"3": {"require_ownership": False}}}, "accepted", [], id="one app takes anybody"
        ),
        pytest.param({"1": FRIEND}, DEMANDING, "accepted", ["1"], id="borrowed"),
        pytest.param(
            {"1": FRIEND},
            {**DEMANDING, "allow_family_sharing": False},
            "account_not_entitled",
            ["1", "2", "3"],
            id="borrowed, which is not enough",
        ),
        pytest.param({}, {"apps": {"2": {"fetch_profile": True}}}, "accepted", ["profile"], id="one app wants a name"),
    ],
)
async def test_a_sign_in_without_an_app_is_held_to_what_every_app_demands(
    owners: Mapping[str, str], block: Mapping[str, Any], ends: str, asked: Sequence[str]
) -> None:
    studio = Studio(owners)
    assert await studio.outcome(**block) == ends
    assert studio.asked == list(asked)


async def test_without_a_policy_steam_is_asked_once(steam: SteamSetup) -> None:
    plain = steam.with_settings(require_ownership=False, fetch_profile=False)
    assert (await plain.sign_in()).display_name == ""
    assert plain.emulator.calls == {"CheckAuthentication": 1}
