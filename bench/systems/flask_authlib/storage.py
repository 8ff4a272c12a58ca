"""The rows that Authlib asks for, on the sqlite3 module: WAL, synchronous=FULL, every token column indexed.

Owns SQL. Access tokens are JWTs, which nobody looks up, so only codes and refresh tokens have rows.
"""

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin
from authlib.oidc.core import AuthorizationCodeMixin

SCHEMA = """
CREATE TABLE player (id TEXT PRIMARY KEY, nickname TEXT NOT NULL, idp TEXT NOT NULL, idp_sub TEXT NOT NULL);
CREATE TABLE client (client_id TEXT PRIMARY KEY, client_secret TEXT NOT NULL, metadata TEXT NOT NULL);
CREATE TABLE code (
  code TEXT NOT NULL UNIQUE, client_id TEXT NOT NULL, player_id TEXT NOT NULL, redirect_uri TEXT NOT NULL,
  scope TEXT NOT NULL, auth_time INTEGER NOT NULL, code_challenge TEXT NOT NULL, code_challenge_method TEXT NOT NULL,
  expires_at INTEGER NOT NULL
);
CREATE TABLE refresh_token (
  refresh_token TEXT NOT NULL UNIQUE, client_id TEXT NOT NULL, player_id TEXT NOT NULL, scope TEXT NOT NULL,
  expires_at INTEGER NOT NULL, revoked_at INTEGER NOT NULL DEFAULT 0
);
"""
ADD_PLAYER = "INSERT INTO player VALUES (?, ?, ?, ?)"
ADD_CLIENT = "INSERT INTO client VALUES (?, ?, ?)"
ADD_CODE = "INSERT INTO code VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
ADD_REFRESH_TOKEN = "INSERT INTO refresh_token VALUES (?, ?, ?, ?, ?, 0)"
USE_CODE = "DELETE FROM code WHERE rowid = ?"
REVOKE = "UPDATE refresh_token SET revoked_at = ? WHERE rowid = ? AND revoked_at = 0"
_CODE = """
SELECT code.rowid, redirect_uri, scope, auth_time, code_challenge, code_challenge_method, expires_at, player.*
FROM code JOIN player ON player.id = player_id WHERE code = ? AND client_id = ?
"""
_REFRESH_TOKEN = """
SELECT refresh_token.rowid, client_id, scope, expires_at, revoked_at, player.*
FROM refresh_token JOIN player ON player.id = player_id WHERE refresh_token = ?
"""

Change = tuple[str, tuple[Any, ...]]
"""A statement and its values; it must change one row."""


@dataclass(frozen=True, slots=True)
class Player:
    """Who signs in."""

    id: str
    nickname: str
    idp: str
    idp_sub: str

    def get_user_id(self) -> str:
        return self.id

    def claims(self) -> dict[str, str]:
        """For id_token and userinfo."""
        return {"sub": self.id, "nickname": self.nickname, "idp": self.idp, "idp_sub": self.idp_sub}


class Client(ClientMixin):
    """A game or a backend."""

    def __init__(self, client_id: str, client_secret: str, metadata: str) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        self.metadata = json.loads(metadata)
        self.id_token_signed_response_alg = self.metadata.get("id_token_signed_response_alg")

    def get_client_id(self) -> str:
        return self.client_id

    def get_allowed_scope(self, scope: str | None) -> str:
        allowed = self.metadata["scope"].split()
        return " ".join(one for one in (scope or "").split() if one in allowed)

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(self.client_secret, client_secret)

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        return bool(self.metadata["token_endpoint_auth_method"] == method)

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.metadata["grant_types"]


@dataclass(frozen=True, slots=True)
class Code(AuthorizationCodeMixin):
    """An authorization code; deleted when it is redeemed."""

    row: int
    redirect_uri: str
    scope: str
    auth_time: int
    code_challenge: str
    code_challenge_method: str
    expires_at: int
    player: Player

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_auth_time(self) -> int:
        return self.auth_time

    def get_nonce(self) -> None:
        return None

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> list[str]:
        return [self.player.idp]


@dataclass(frozen=True, slots=True)
class RefreshToken(TokenMixin):
    """One of a chain; the one before it is revoked."""

    row: int
    client_id: str
    scope: str
    expires_at: int
    revoked_at: int
    player: Player

    def check_client(self, client: Client) -> bool:
        return self.client_id == client.client_id

    def get_scope(self) -> str:
        return self.scope


class Lost(Exception):
    """Somebody else has redeemed the code or rotated the token meanwhile."""


class Storage:
    """One connection per thread, and one writer at a time, so that none has to wait by sleeping."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._local = threading.local()
        self._writing = threading.Lock()

    @property
    def connection(self) -> sqlite3.Connection:
        """The one of this thread. The module keeps its prepared statements."""
        if not hasattr(self._local, "connection"):
            self._local.connection = sqlite3.connect(self._path, isolation_level=None, timeout=30)
            self._local.connection.execute("PRAGMA journal_mode = WAL")
            self._local.connection.execute("PRAGMA synchronous = FULL")
        connection: sqlite3.Connection = self._local.connection
        return connection

    def clients(self) -> dict[str, Client]:
        return {row[0]: Client(*row) for row in self.connection.execute("SELECT * FROM client")}

    def player(self, player_id: str) -> Player | None:
        row = self.connection.execute("SELECT * FROM player WHERE id = ?", (player_id,)).fetchone()
        return Player(*row) if row else None

    def code(self, code: str, client_id: str) -> Code | None:
        row = self.connection.execute(_CODE, (code, client_id)).fetchone()
        return Code(*row[:-4], Player(*row[-4:])) if row and row[6] > time.time() else None

    def refresh_token(self, token: str) -> RefreshToken | None:
        row = self.connection.execute(_REFRESH_TOKEN, (token,)).fetchone()
        return RefreshToken(*row[:-4], Player(*row[-4:])) if row and not row[4] and row[3] > time.time() else None

    def apply(self, changes: Sequence[Change]) -> None:
        """All in one durable transaction. Raises `Lost`, and then none is done."""
        connection = self.connection
        with self._writing:
            connection.execute("BEGIN IMMEDIATE")
            if all(connection.execute(statement, values).rowcount == 1 for statement, values in changes):
                connection.execute("COMMIT")
                return
            connection.execute("ROLLBACK")
        raise Lost
