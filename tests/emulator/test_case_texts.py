"""What the list of cases says of each is what a login with it ends in. Steam's are held to that beside its platform."""

from collections.abc import Iterator
from typing import Any

import pytest

from authsrv.emulator.base import UnknownCase
from authsrv.emulator.epic.emulator import EpicEmulator
from authsrv.emulator.epic.pages import CASES as ON_EPICS_PAGE
from authsrv.emulator.xbox.browser_cases import BROWSER_CASES, ON_PAGE
from authsrv.emulator.xbox.cases import CASES
from authsrv.emulator.xbox.emulator import XboxEmulator
from tests.support.case_ends import outcome, told_end
from tests.support.epic import Epic
from tests.support.xbox import AMBER, Xbox

STRICT: dict[str, Any] = {"min_age_group": "teen", "required_privileges": [254]}
NOT_OF_THE_PLATFORM = {"page-restricted": "nothing", "page-foreign-state": "foreign_state"}
"""Nobody comes back from the one; the other is refused before the platform is asked."""


def minted_by_epic() -> Iterator[tuple[str, str]]:
    """Every case with every kind of credential that has it."""
    epic = Epic()
    for case in EpicEmulator.cases:
        for kind in epic.emulator.kinds:
            try:
                epic.mint(case, kind)
            except UnknownCase:
                continue
            yield case, kind


@pytest.mark.parametrize("case", CASES)
async def test_a_token_of_xbox_ends_as_its_text_says(case: str) -> None:
    xbox = Xbox(**STRICT)
    ended = await outcome(xbox.login_with(xbox.emulator.mint(AMBER, case=case)))
    assert told_end(XboxEmulator.cases[case]) == ended


@pytest.mark.parametrize("case", ON_PAGE)
async def test_a_sign_in_at_microsoft_ends_as_its_text_says(case: str) -> None:
    assert told_end(ON_PAGE[case], in_browser=True) == await outcome(Xbox(**STRICT).sign_in(case))


@pytest.mark.parametrize(("case", "kind"), [pytest.param(*each, id="-".join(each)) for each in minted_by_epic()])
async def test_a_credential_of_epic_ends_as_its_text_says(case: str, kind: str) -> None:
    epic = Epic()
    ended = await outcome(epic.login_with(epic.mint(case, kind)))
    assert told_end(EpicEmulator.cases[case]).removesuffix(" once") == ended


@pytest.mark.parametrize("case", sorted(ON_EPICS_PAGE.keys() - NOT_OF_THE_PLATFORM.keys()))
async def test_a_sign_in_at_epic_ends_as_its_text_says(case: str) -> None:
    assert told_end(ON_EPICS_PAGE[case], in_browser=True) == await outcome(Epic().sign_in(case=case))


def test_what_no_platform_decides_is_told_all_the_same() -> None:
    assert {case: told_end(ON_EPICS_PAGE[case]) for case in NOT_OF_THE_PLATFORM} == NOT_OF_THE_PLATFORM


def test_every_case_is_held_to_its_text() -> None:
    assert XboxEmulator.cases.keys() == CASES.keys() | BROWSER_CASES.keys()
    assert EpicEmulator.cases.keys() == {case for case, _ in minted_by_epic()} | ON_EPICS_PAGE.keys()
