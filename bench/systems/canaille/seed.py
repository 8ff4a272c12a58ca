"""Fills canaille's database through its own models. Reads what is wanted as JSON from standard input.

Writes the secrets to standard output as JSON: codes, refresh tokens and access tokens under each algorithm's name.
"""

import json
import sys
import uuid
from datetime import UTC, datetime
from typing import Any

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from canaille.backends.sql.models.oidc import TokenAudience
from sqlalchemy import insert, text
from werkzeug.security import gen_salt

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = 86400
SCOPE = ["openid", "profile"]
STAMPS = {"created": NOW, "last_modified": NOW}


class Seeding:
    """All rows of one run, in one transaction of `session`."""

    def __init__(self, session: Any, wanted: dict[str, Any]) -> None:
        self._session = session
        self._wanted = wanted

    def fill(self) -> dict[str, dict[str, list[str]]]:
        """The secrets."""
        backend = self._client(self._wanted["backend"], "client_secret_basic", client_secret=self._wanted["secret"])
        backend.grant_types = ["client_credentials"]
        backend.audience = [backend]
        players = [self._player(number) for number in range(self._wanted["players"])]
        return {algorithm: self._game(algorithm, backend, players) for algorithm in self._wanted["games"]}

    def _game(self, algorithm: str, backend: Any, players: list[Any]) -> dict[str, list[str]]:
        """A public client and what it holds. Its tokens are for itself and for the backend that introspects them."""
        game = self._client(self._wanted["games"][algorithm], "none")
        game.id_token_signed_response_alg = algorithm
        game.audience = [game, backend]
        self._session.flush()
        shown = self._tokens(game, players, len(players))
        rotated = self._tokens(game, players, self._wanted["refresh_tokens"][algorithm])
        return {
            "codes": self._codes(game, players),
            "refresh_tokens": [row["refresh_token"] for row in rotated],
            "access_tokens": [row["access_token"] for row in shown],
        }

    def _client(self, name: str, authentication: str, **more: Any) -> Any:
        client = models.Client(
            client_id=name,
            client_name=name,
            client_id_issued_at=NOW,
            token_endpoint_auth_method=authentication,
            redirect_uris=[self._wanted["redirect_uri"]],
            grant_types=["authorization_code", "refresh_token"],
            response_types=["code"],
            scope=SCOPE,
            **STAMPS,
            **more,
        )
        self._session.add(client)
        return client

    def _player(self, number: int) -> Any:
        player = models.User(user_name=f"player{number}", formatted_name="Amber", family_name="Amber", **STAMPS)
        self._session.add(player)
        return player

    def _codes(self, game: Any, players: list[Any]) -> list[str]:
        rows = [
            {
                "authorization_code_id": gen_salt(48),
                "code": gen_salt(48),
                "subject_id": players[number % len(players)].id,
                "client_id": game.id,
                "redirect_uri": self._wanted["redirect_uri"],
                "scope": SCOPE,
                "issue_date": NOW,
                "lifetime": DAY,
                "challenge": self._wanted["challenge"],
                "challenge_method": "S256",
                "auth_time": NOW,
                "amr": ["pwd"],
                **STAMPS,
            }
            for number in range(self._wanted["codes"])
        ]
        self._insert(models.AuthorizationCode, rows)
        return [row["code"] for row in rows]

    def _tokens(self, game: Any, players: list[Any], count: int) -> list[dict[str, Any]]:
        rows = [
            {
                "id": str(uuid.uuid4()),
                "token_id": gen_salt(48),
                "type": "Bearer",
                "access_token": gen_salt(48),
                "refresh_token": gen_salt(48),
                "client_id": game.id,
                "subject_id": players[number % len(players)].id,
                "scope": SCOPE,
                "issue_date": NOW,
                "lifetime": DAY,
                **STAMPS,
            }
            for number in range(count)
        ]
        audience = [client.id for client in game.audience]
        self._insert(models.Token, rows)
        self._insert(
            TokenAudience,
            [{"token_id": row["id"], "client_id": of, "index": n} for row in rows for n, of in enumerate(audience)],
        )
        return rows

    def _insert(self, model: Any, rows: list[dict[str, Any]]) -> None:
        if rows:
            self._session.execute(insert(model), rows)


def tune(session: Any) -> None:
    """What canaille has no setting for and a fast installation would not be without.

    WAL stays with the file, and `synchronous` is FULL unless somebody asks for less. Codes have no index of their own,
    so that each look-up would read all of them.
    """
    session.execute(text("PRAGMA journal_mode=WAL"))
    session.execute(text("CREATE INDEX ix_authorization_code_code ON authorization_code (code)"))
    session.commit()


if __name__ == "__main__":
    with create_app(init_backend=True).app_context():
        session = Backend.instance.db_session
        tune(session)
        made = Seeding(session, json.load(sys.stdin)).fill()
        session.commit()
    json.dump(made, sys.stdout)
