"""Which settings of client registration make sense, inside a project and between projects."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from authsrv.config import load
from authsrv.config.client_secrets import secret_digest
from authsrv.config.registration import RegistrationSettings
from authsrv.models import Lifetimes
from tests.support.configuration import LONG, PROJECT, problems, set_environment, warnings, written

DEV = "dev = true\n"
BLOCK = PROJECT + "[projects.p.registration]\n"
TOKENS = 'initial_tokens = { partner = { env = "SECRET" } }\n'
BY_TOKEN = BLOCK + 'mode = "token"\n' + TOKENS
OPEN = BLOCK + 'mode = "open"\n'
SECOND = "[projects.q.registration]\n"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)
    monkeypatch.setenv("SECOND", LONG)
    monkeypatch.setenv("SPACED", "canary " * 10)


def test_Y3_registration_is_off_unless_a_project_says_otherwise(tmp_path: Path) -> None:
    policy = load(written(tmp_path, PROJECT)).registration_policies()["p"]
    assert (policy.mode, policy.management, policy.initial_tokens) == ("off", False, {})
    assert policy.scopes == ("openid", "profile", "offline_access")
    assert (policy.most_clients, policy.unused_seconds, policy.pkce_required) == (1000, 30 * 86400, True)


def test_the_policy_holds_what_the_file_says_and_digests_of_tokens(tmp_path: Path) -> None:
    text = BY_TOKEN + 'management = true\nscopes = ["openid"]\npkce = "optional"\nmax_clients = 5\nunused_days = 1\n'
    text += 'blocked = ["c_1"]\n'
    more = '[tokens]\naccess_token_lifetime = 60\n[outbound]\nallow = ["10.0.0.7:8443"]\n'
    policy = load(written(tmp_path, text + more)).registration_policies()["p"]
    assert (policy.mode, policy.management, policy.scopes) == ("token", True, ("openid",))
    assert policy.initial_tokens == {secret_digest("canary" + LONG): "partner"}
    assert (policy.most_clients, policy.unused_seconds, policy.pkce_required) == (5, 86400, False)
    assert (policy.lifetimes, policy.callable_hosts) == (Lifetimes(access_token=60), ("10.0.0.7:8443",))
    assert (policy.project.key, policy.blocked) == ("p", frozenset({"c_1"}))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(BY_TOKEN, id="token"),
        pytest.param(OPEN, id="open"),
        pytest.param(OPEN + TOKENS, id="open, with tokens"),
        pytest.param(BLOCK + TOKENS, id="off, with tokens"),
        pytest.param(BLOCK + "management = true\n", id="management alone"),
        pytest.param(
            BY_TOKEN + SECOND + 'mode = "open"\ninitial_tokens = { other = { env = "SECOND" } }\n', id="two projects"
        ),
        pytest.param(DEV + BLOCK + 'mode = "token"\ninitial_tokens = { p = "short" }\n', id="short in development"),
    ],
)
def test_sound_settings_are_read(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text) == []


ONE_OF = "projects.p.registration.initial_tokens"
UNFIT = (
    "the token has fewer than 32 or more than 512 characters, or some that a header cannot carry",
    "make one with: openssl rand -hex 32",
)
MISTAKES = [
    pytest.param(
        BLOCK + 'mode = "token"\n',
        ONE_OF,
        "nobody can register a client without an initial access token, and there is none",
        'add initial_tokens = { partner = { env = "NAME" } }, or write mode = "off"',
        id="no token",
    ),
    pytest.param(
        OPEN + SECOND + 'mode = "open"\n',
        "projects.q.registration.mode",
        "project p is open already, and a registration without a token must belong to one project",
        'write mode = "token" in one of them',
        id="two open projects",
    ),
    pytest.param(
        BY_TOKEN.replace('partner = { env = "SECRET" }', 'a = { env = "SECRET" }, b = { env = "SECRET" }'),
        ONE_OF + ".b",
        "a is the same token, so that neither can be told from the other",
        "make another one with: openssl rand -hex 32",
        id="twice in a project",
    ),
    pytest.param(
        BY_TOKEN + SECOND + 'initial_tokens = { guest = { env = "SECRET" } }\n',
        "projects.q.registration.initial_tokens.guest",
        "partner is the same token, so that neither can be told from the other",
        "make another one with: openssl rand -hex 32",
        id="twice in two projects",
    ),
    pytest.param(BY_TOKEN.replace('"SECRET"', '"SHORT"'), ONE_OF + ".partner", *UNFIT, id="short"),
    pytest.param(BY_TOKEN.replace('"SECRET"', '"HUGE"'), ONE_OF + ".partner", *UNFIT, id="long"),
    pytest.param(BY_TOKEN.replace('"SECRET"', '"SPACED"'), ONE_OF + ".partner", *UNFIT, id="spaces"),
    pytest.param(
        BY_TOKEN.replace("partner =", '"our partner" ='),
        ONE_OF + '."our partner"',
        "the name of the token has odd characters",
        "use up to 64 letters, digits, and . _ - between",
        id="name",
    ),
    pytest.param(
        BY_TOKEN.replace('{ env = "SECRET" }', f'"{"canary" + LONG}"'),
        ONE_OF + ".partner",
        "the secret stands in the file itself",
        'write { env = "NAME" } or { file = "path" }; only with dev = true may a secret stand here',
        id="literal",
    ),
    pytest.param(
        BLOCK + 'blocked = ["c_1", "shop"]\n',
        "projects.p.registration.blocked[1]",
        "this is no id of a registered client: those begin with c_",
        "remove a client of the file from the file",
        id="blocked client of the file",
    ),
    pytest.param(
        BLOCK + "scopes = []\n",
        "projects.p.registration.scopes",
        "the list of scopes is empty",
        "leave it out for the default",
        id="no scopes",
    ),
    pytest.param(
        BLOCK + 'scopes = ["openid", "sub"]\n',
        "projects.p.registration.scopes[1]",
        "sub is the name of a claim that only the server sets",
        "choose another name",
        id="scope of a claim's name",
    ),
]


@pytest.mark.parametrize(("text", "key", "what", "remedy"), MISTAKES)
def test_a_mistake_is_reported_with_its_remedy(tmp_path: Path, text: str, key: str, what: str, remedy: str) -> None:
    assert [(found.key, found.what, found.remedy) for found in problems(tmp_path, text)] == [(key, what, remedy)]


@pytest.mark.parametrize(
    "line",
    [
        'mode = "on"',
        "management = 1",
        "max_clients = 0",
        "max_clients = 100001",
        "unused_days = 0",
        "unused_days = 367",
        'pkce = "plain"',
        'initial_tokens = ["x"]',
        'tokens = "x"',
    ],
)
def test_a_value_out_of_range_is_one_mistake(tmp_path: Path, line: str) -> None:
    assert len(problems(tmp_path, BLOCK + line + "\n")) == 1


def test_a_token_that_cannot_be_read_is_one_mistake(tmp_path: Path) -> None:
    found = problems(tmp_path, BY_TOKEN.replace('"SECRET"', '"NOWHERE"'))
    assert [one.key for one in found] == [ONE_OF + ".partner"]


def test_an_open_registration_is_warned_of(tmp_path: Path) -> None:
    (warning,) = warnings(tmp_path, OPEN)
    assert (warning.key, warning.what) == (
        "projects.p.registration.mode",
        "anybody on the Internet can register a client, and fill the project's list of them",
    )
    assert warnings(tmp_path, BY_TOKEN + "management = true\n") == []


def test_printing_the_block_shows_no_token() -> None:
    assert "canary" not in repr(RegistrationSettings(initial_tokens={"partner": SecretStr("canary")}))
