"""`authsrv tokens revoke` as a program: through the running server, and upon the database while nobody serves."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from tests.support import launcher
from tests.support.serving import Place, emulator_running
from tests.support.storage import migrated_file

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A configured server with a migrated database, not yet started."""
    keys = tmp_path / "emulator"
    keys.mkdir()
    migrated_file(tmp_path)
    with emulator_running(keys) as port:
        yield Place(tmp_path, port, keys)


def log_in(place: Place) -> dict[str, Any]:
    return launcher.login(place.issuer, place.emulator, "steam", "amber")


def opens_userinfo(place: Place, access_token: str) -> bool:
    answer = httpx.get(f"{place.issuer}/oauth2/userinfo", headers={"authorization": f"Bearer {access_token}"})
    assert answer.status_code in {200, 401}
    return answer.status_code == 200


def test_tokens_are_void_at_once_whether_the_server_runs_or_not(place: Place) -> None:
    with place.serving() as program:
        tokens = log_in(place)
        sub = jwt.decode(tokens["access_token"], options={"verify_signature": False})["sub"]
        dry = place.run("tokens", "revoke", "--player", sub, "--dry-run")
        assert (dry.returncode, dry.stderr) == (0, "")
        assert dry.stdout.startswith(
            f"Everything that player {sub} of project demo was given until now would be void: "
        )
        assert dry.stdout.endswith("Nothing was changed.\n")
        assert opens_userinfo(place, tokens["access_token"])
        done = place.run("tokens", "revoke", "--player", sub)
        assert done.stdout.startswith(f"Everything that player {sub} of project demo was given until now is void: ")
        assert not opens_userinfo(place, tokens["access_token"])
        program.wait_for('"event": "tokens.revoked_before"')
    alone = place.run("tokens", "revoke", "--project", "demo", "--json")
    assert json.loads(alone.stdout).keys() == {"kind", "subject", "project", "not_before", "done"}
    assert "tokens.revoked_before" in alone.stderr
    unknown = place.run("tokens", "revoke", "--client", "nobody")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr == "authsrv: no client has or had this client_id\n"
    with place.serving(), pytest.raises(launcher.Refused, match="invalid_grant"):
        launcher.refresh(place.issuer, tokens["refresh_token"])
