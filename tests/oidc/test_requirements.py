"""Every requirement has a test that bears its id, in the file of its profile."""

import re
from pathlib import Path

import pytest

from tests.oidc import requirements

HERE = Path(__file__).parent
PROFILES = {
    "test_general.py": requirements.GENERAL,
    "test_basic.py": requirements.BASIC,
    "test_config_op.py": requirements.CONFIG_OP,
    "test_form_post.py": requirements.FORM_POST,
    "test_rp_logout.py": requirements.RP_LOGOUT,
    "test_back_channel.py": requirements.BACK_CHANNEL,
    "test_front_channel.py": requirements.FRONT_CHANNEL,
    "test_third_party.py": requirements.THIRD_PARTY,
}
ELSEWHERE = {
    "G14": "test_guarded_outbound.py",
    **dict.fromkeys(("K3", "K6"), "test_logout_notices.py"),
    "T2": "oidc/test_client_management.py",
    **dict.fromkeys(("Y1", "Y3", "Y17"), "oidc/test_registration.py"),
    "Y2": "oidc/test_client_management.py",
    **dict.fromkeys(("Y4", "Y5", "Y6", "Y7", "Y8", "Y9"), "oidc/test_registered_sign_in.py"),
}
"""Requirements that are not about HTTP alone, or not in one file, by the files of the tests that hold them."""
AWAITED: set[str] = set()
"""Requirements of parts that the server does not have yet."""

_TEST = re.compile(r"def test_(\w+)\(")
_ID = re.compile(r"[A-Z][0-9]{1,2}")


def names_in(file: Path) -> list[str]:
    return _TEST.findall(file.read_text(encoding="utf-8"))


def ids_in(file: Path) -> set[str]:
    """The ids at the beginning of its tests' names."""
    found = set()
    for name in names_in(file):
        for part in name.split("_"):
            if not _ID.fullmatch(part):
                break
            found.add(part)
    return found


@pytest.mark.parametrize("file", PROFILES)
def test_every_requirement_has_a_test_of_its_name_and_every_id_is_a_requirement(file: str) -> None:
    assert ids_in(HERE / file) == PROFILES[file].keys() - ELSEWHERE.keys() - AWAITED


@pytest.mark.parametrize(("requirement", "file"), ELSEWHERE.items())
def test_what_is_tested_elsewhere_is_tested_there(requirement: str, file: str) -> None:
    assert requirement in ids_in(HERE.parent / file)


def test_every_requirement_of_registration_has_its_file() -> None:
    assert requirements.REGISTRATION.keys() <= ELSEWHERE.keys()


def test_every_switch_of_a_client_has_a_test_of_its_name() -> None:
    names = names_in(HERE / "test_switches.py")
    assert [switch for switch in requirements.SWITCHES if not any(n.startswith(f"{switch}_") for n in names)] == []
