"""The block of a project's PlayFab title, and clients to which the scope promises what they do not get."""

from pathlib import Path

import pytest

from authsrv.config import load
from tests.support.configuration import PROJECT, SERVER, WEB, problems, set_environment, warnings, written

BLOCK = '[projects.p.playfab]\ntitle_id = "A1B2C"\nsecret_key = { env = "SECRET" }\n'
ASKING = WEB + 'scopes = ["openid", "playfab"]\n'


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)
    monkeypatch.setenv("SPACED", "two words")


def dev(text: str) -> str:
    return "dev = true\n" + text


def test_the_title_is_called_at_its_own_host_by_tls(tmp_path: Path) -> None:
    found = load(written(tmp_path, ASKING + BLOCK)).projects["p"].playfab
    assert found is not None
    assert found.addresses() == ("https://a1b2c.playfabapi.com",)
    assert "canary" not in repr(found)


def test_a_project_has_no_title_unless_it_names_one(tmp_path: Path) -> None:
    assert load(written(tmp_path, WEB)).projects["p"].playfab is None


@pytest.mark.parametrize(
    ("block", "key", "what"),
    [
        pytest.param(BLOCK.replace('"A1B2C"', '"a.b"'), "title_id", "title_id is no id of a title", id="title"),
        pytest.param(BLOCK.replace('"A1B2C"', '""'), "title_id", "title_id is no id of a title", id="no title"),
        pytest.param(BLOCK.replace("SECRET", "SPACED"), "secret_key", "secret_key has characters", id="key"),
        pytest.param(
            BLOCK.replace('{ env = "SECRET" }', '"canary"'), "secret_key", "the secret stands in the file", id="literal"
        ),
        pytest.param(BLOCK + 'base_url = "https://p.example"', "base_url", "base_url may be set only", id="address"),
        pytest.param(BLOCK + "title = 'x'", "title", "", id="unknown key"),
        pytest.param(BLOCK.partition("secret")[0], "secret_key", "", id="no key"),
    ],
)
def test_each_mistake_is_one_problem_with_its_key(tmp_path: Path, block: str, key: str, what: str) -> None:
    [problem] = problems(tmp_path, ASKING + block)
    assert problem.key == f"projects.p.playfab.{key}"
    assert problem.what.startswith(what)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "http://127.0.0.1:8090/", "http://127.0.0.1:8090/%2e", "x"])
def test_the_address_must_be_one(tmp_path: Path, url: str) -> None:
    [problem] = problems(tmp_path, dev(ASKING + BLOCK + f"base_url = '{url}'"))
    assert (problem.key, problem.what) == ("projects.p.playfab.base_url", "this is not a base URL")


def test_in_development_the_title_may_be_an_emulated_one(tmp_path: Path) -> None:
    text = dev(ASKING + BLOCK + 'base_url = "http://127.0.0.1:8090/playfab/x"')
    found = load(written(tmp_path, text)).projects["p"].playfab
    assert found is not None
    assert found.addresses() == ("http://127.0.0.1:8090/playfab/x",)


@pytest.mark.parametrize(
    ("text", "key", "what", "remedy"),
    [
        pytest.param(
            ASKING,
            "projects.p.clients.web.scopes",
            "the project has no PlayFab title, so the scope playfab gives nothing",
            "add [projects.p.playfab] with title_id and secret_key, or remove the scope",
            id="no title",
        ),
        pytest.param(
            SERVER + 'scopes = ["playfab"]\n',
            "projects.p.clients.web.scopes",
            "the project has no PlayFab title, so the scope playfab gives nothing",
            "add [projects.p.playfab] with title_id and secret_key, or remove the scope",
            id="no title for a server",
        ),
        pytest.param(
            ASKING + 'first_party = false\npolicy_uri = "https://web.example/privacy"\n' + BLOCK,
            "projects.p.clients.web.scopes",
            "a PlayFab session is for the studio's own clients only, so the scope playfab gives nothing",
            "remove the scope, or first_party = false",
            id="somebody else's client",
        ),
        pytest.param(
            WEB + 'extra_scopes = ["playfab"]\n' + BLOCK,
            "projects.p.clients.web.extra_scopes",
            "extra_scopes are the studio's own, and playfab gives nothing here",
            "list it in scopes",
            id="the wrong list",
        ),
    ],
)
def test_a_scope_that_gives_nothing_is_warned_of(tmp_path: Path, text: str, key: str, what: str, remedy: str) -> None:
    assert [(one.key, one.what, one.remedy) for one in warnings(tmp_path, text)] == [(key, what, remedy)]


@pytest.mark.parametrize("text", [ASKING + BLOCK, WEB + BLOCK, WEB, PROJECT + BLOCK])
def test_nothing_is_warned_of_where_scope_and_title_fit(tmp_path: Path, text: str) -> None:
    assert warnings(tmp_path, text) == []
