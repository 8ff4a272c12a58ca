"""Where several nodes count together: which addresses of a Redis or Valkey the configuration takes."""

from pathlib import Path

import pytest

from tests.support.configuration import WEB, problems, set_environment, warnings
from tests.support.throwaway_ca import throwaway_ca

PASSWORD = 'store_password = { env = "REDIS_PASSWORD" }\n'


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)
    monkeypatch.setenv("REDIS_PASSWORD", "canary of the store")


def counting_in(store: str, more: str = "") -> str:
    return f"{WEB}[limits]\nstore = '{store}'\n{more}"


@pytest.mark.parametrize(
    "store",
    [
        "",
        "redis://127.0.0.1",
        "redis://redis.studio.internal:6379",
        "redis://10.0.0.7:6379/2",
        "rediss://authsrv@redis.studio.internal:6380/0",
        "rediss://[fd00::7]:6379/0",
    ],
)
def test_sound_stores_are_read(tmp_path: Path, store: str) -> None:
    assert problems(tmp_path, counting_in(store)) == []


def test_a_store_has_a_password_and_authorities(tmp_path: Path) -> None:
    ca = throwaway_ca(tmp_path)
    assert problems(tmp_path, counting_in("rediss://redis:6379/0", f"{PASSWORD}store_ca = '{ca.file}'\n")) == []


NO_ADDRESS = "this is no address of a Redis or Valkey"
WRITE = "write redis://host:6379/0 or rediss://user@host:6379/0"
ENV = 'write it as store_password = { env = "NAME" }'
MISTAKES = [
    pytest.param(counting_in("memory://"), "store", NO_ADDRESS, WRITE, id="memory"),
    pytest.param(counting_in("localhost:6379"), "store", NO_ADDRESS, WRITE, id="no scheme"),
    pytest.param(counting_in("redis://a b:6379"), "store", NO_ADDRESS, WRITE, id="no host"),
    pytest.param(counting_in("redis://redis:6379/0?ssl_cert_reqs=none"), "store", NO_ADDRESS, WRITE, id="TLS undone"),
    pytest.param(counting_in("redis://redis:6379/zero"), "store", NO_ADDRESS, WRITE, id="no number"),
    pytest.param(
        counting_in("redis://me:canary@redis:6379/0"), "store", "the address holds a password", ENV, id="password"
    ),
    pytest.param(
        counting_in("redis://:canary@redis:6379/0"), "store", "the address holds a password", ENV, id="no user"
    ),
    pytest.param(
        f"{WEB}[limits]\n{PASSWORD}",
        "store_password",
        "there is no store that it is for",
        "name the store, or remove it",
        id="password of nothing",
    ),
    pytest.param(
        counting_in("rediss://redis:6379/0", "store_password = 'canary'\n"),
        "store_password",
        "the secret stands in the file itself",
        'write { env = "NAME" } or { file = "path" }; only with dev = true may a secret stand here',
        id="literal password",
    ),
    pytest.param(
        counting_in("rediss://redis:6379/0", "store_ca = 'no-such-file.pem'\n"),
        "store_ca",
        "the file cannot be read",
        "create it, or name another one",
        id="no authorities",
    ),
]


@pytest.mark.parametrize(("text", "key", "what", "remedy"), MISTAKES)
def test_a_store_that_cannot_be_used_is_refused(tmp_path: Path, text: str, key: str, what: str, remedy: str) -> None:
    [problem] = problems(tmp_path, text)
    assert (problem.key, problem.what, problem.remedy) == (f"limits.{key}", what, remedy)


def test_authorities_without_TLS_are_refused(tmp_path: Path) -> None:
    ca = throwaway_ca(tmp_path)
    [problem] = problems(tmp_path, counting_in("redis://127.0.0.1:6379/0", f"store_ca = '{ca.file}'\n"))
    assert (problem.key, problem.what) == ("limits.store_ca", "only a store with TLS has one")


@pytest.mark.parametrize(
    ("store", "more", "warned"),
    [
        pytest.param("redis://redis.studio.internal:6379/0", PASSWORD, True, id="in clear"),
        pytest.param("rediss://redis.studio.internal:6379/0", PASSWORD, False, id="TLS"),
        pytest.param("redis://127.0.0.1:6379/0", PASSWORD, False, id="this machine"),
        pytest.param("redis://redis.studio.internal:6379/0", "", False, id="no password"),
    ],
)
def test_a_password_that_travels_in_clear_is_warned_of(tmp_path: Path, store: str, more: str, warned: bool) -> None:
    found = [problem for problem in warnings(tmp_path, counting_in(store, more)) if problem.key == "limits.store"]
    assert [one.what for one in found] == ["the password for this address travels in clear"] * warned
