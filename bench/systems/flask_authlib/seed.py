"""Writes players, clients, codes and refresh tokens as the server would, as many as standard input says:
codes, refresh tokens, players.

Prints what a client would hold, by algorithm, as JSON. Access tokens come from the server's own generator.
"""

import json
import os
import secrets
import sys
import time
import uuid
from typing import Any

from access_tokens import SITE, AccessTokens
from storage import ADD_CLIENT, ADD_CODE, ADD_PLAYER, ADD_REFRESH_TOKEN, SCHEMA, Client, Player, Storage

SCOPE = "openid profile offline_access"
NOW = int(time.time())
DAY = 86400


def game(alg: str) -> tuple[str, str, str]:
    metadata = {
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": SCOPE,
        "id_token_signed_response_alg": alg,
    }
    return SITE["games"][alg], "", json.dumps(metadata)


def backend(alg: str) -> tuple[str, str, str]:
    method = "client_secret_post"
    metadata = {"token_endpoint_auth_method": method, "grant_types": ["client_credentials"], "scope": "profile"}
    return SITE["backends"][alg], SITE["secret"], json.dumps(metadata)


def code(alg: str, player: str) -> tuple[Any, ...]:
    of_client = (SITE["games"][alg], player, SITE["redirect_uri"], SCOPE, NOW)
    return secrets.token_urlsafe(36), *of_client, SITE["challenge"], "S256", NOW + DAY


def refresh_token(alg: str, player: str) -> tuple[Any, ...]:
    return secrets.token_urlsafe(32), SITE["games"][alg], player, SCOPE, NOW + 30 * DAY


def access_token(alg: str, player: Player) -> str:
    """One that outlasts the benchmark."""
    tokens = AccessTokens("ES256", DAY)
    return str(tokens.access_token_generator(Client(*game(alg)), "authorization_code", player, SCOPE))


def main() -> None:
    codes, refresh_tokens, count = (int(argument) for argument in sys.stdin.read().split())
    players = [Player(str(uuid.uuid4()), "Amber", "steam", f"7656119{number:010}") for number in range(count)]
    connection = Storage(os.environ["BENCH_DATABASE"]).connection
    connection.executescript(SCHEMA)
    connection.execute("BEGIN")
    connection.executemany(ADD_PLAYER, [(one.id, one.nickname, one.idp, one.idp_sub) for one in players])
    held = {}
    for alg in ("ES256", "RS256"):
        made_codes = [code(alg, players[number % count].id) for number in range(codes)]
        made_tokens = [refresh_token(alg, players[number % count].id) for number in range(refresh_tokens)]
        connection.executemany(ADD_CLIENT, [game(alg), backend(alg)])
        connection.executemany(ADD_CODE, made_codes)
        connection.executemany(ADD_REFRESH_TOKEN, made_tokens)
        held[alg] = {
            "codes": [one[0] for one in made_codes],
            "refresh_tokens": [one[0] for one in made_tokens],
            "access_tokens": [access_token(alg, player) for player in players],
        }
    connection.execute("COMMIT")
    print(json.dumps(held))


if __name__ == "__main__":
    main()
