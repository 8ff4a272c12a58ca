"""The server, as Authlib's documentation builds one in Flask, with what production adds: prepared keys, clients that
are read once, one transaction per request. Run by gunicorn as `server:application`.
"""

import os
import time
from collections.abc import Callable, Iterable
from typing import Any

from access_tokens import API, ISSUER, KEYS, SITE, AccessTokens
from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector, current_token
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator, JWTIntrospectionEndpoint
from authlib.oidc.core.grants.code import OpenIDToken
from flask import Flask, Response, g, jsonify
from joserfc.jwk import KeySet
from storage import ADD_REFRESH_TOKEN, REVOKE, USE_CODE, Client, Code, Lost, Player, RefreshToken, Storage

MONTH = 30 * 86400
LIFETIME = 900
KEY_SET = KeySet([key for keys in KEYS.values() for key in keys.keys])
storage = Storage(os.environ["BENCH_DATABASE"])
clients = storage.clients()


class IdTokens(OpenIDToken):
    """Signed by the algorithm of the client."""

    def resolve_client_private_key(self, client: Client) -> Any:
        return KEYS[client.id_token_signed_response_alg]

    def get_client_claims(self, client: Client) -> dict[str, Any]:
        return {"iss": ISSUER, "aud": client.client_id, "exp": int(time.time()) + LIFETIME}

    def generate_user_info(self, user: Player, _scope: str) -> dict[str, str]:
        return user.claims()


class CodeGrant(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ("none",)

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        return storage.code(code, client.client_id)

    def delete_authorization_code(self, authorization_code: Code) -> None:
        g.changes.append((USE_CODE, (authorization_code.row,)))

    def authenticate_user(self, authorization_code: Code) -> Player:
        return authorization_code.player


class RefreshGrant(grants.RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ("none",)
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> RefreshToken | None:
        return storage.refresh_token(refresh_token)

    def authenticate_user(self, refresh_token: RefreshToken) -> Player:
        return refresh_token.player

    def revoke_old_credential(self, refresh_token: RefreshToken) -> None:
        g.changes.append((REVOKE, (int(time.time()), refresh_token.row)))


class ClientCredentialsGrant(grants.ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_post",)


class Introspection(JWTIntrospectionEndpoint):
    CLIENT_AUTH_METHODS = ("client_secret_post",)

    def get_jwks(self) -> KeySet:
        return KEY_SET

    def check_permission(self, _token: Any, client: Client, _request: Any) -> bool:
        return bool(client.client_secret)


class Validator(JWTBearerTokenValidator):
    def get_jwks(self) -> KeySet:
        return KEY_SET


def save_token(token: dict[str, Any], request: Any) -> None:
    if "refresh_token" in token:
        values = (request.client.client_id, request.user.id, token["scope"], int(time.time()) + MONTH)
        g.changes.append((ADD_REFRESH_TOKEN, (token["refresh_token"], *values)))


app = Flask(__name__)
server = AuthorizationServer(app, query_client=clients.get, save_token=save_token)
server.register_token_generator("default", AccessTokens("ES256", LIFETIME))
by_backend = {SITE["backends"][alg]: AccessTokens(alg, LIFETIME) for alg in KEYS}
server.register_token_generator("client_credentials", lambda **asked: by_backend[asked["client"].client_id](**asked))
server.register_grant(CodeGrant, [CodeChallenge(required=True), IdTokens()])
server.register_grant(RefreshGrant, [IdTokens()])
server.register_grant(ClientCredentialsGrant)
server.register_endpoint(Introspection(ISSUER))
require_oauth = ResourceProtector()
require_oauth.register_token_validator(Validator(ISSUER, API))


@app.post("/oauth/token")
def token() -> Response:
    """Everything that the grants want written is one transaction."""
    g.changes = []
    answer: Response = server.create_token_response()
    if answer.status_code == 200 and g.changes:
        try:
            storage.apply(g.changes)
        except Lost:
            return app.make_response(({"error": "invalid_grant"}, 400))
    return answer


@app.post("/oauth/introspect")
def introspect() -> Response:
    answer: Response = server.create_endpoint_response("introspection")
    return answer


@app.get("/oauth/userinfo")
@require_oauth("openid")
def userinfo() -> Response:
    player = storage.player(current_token["sub"])
    return jsonify(player.claims()) if player else Response(status=401)


DISCOVERY = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/oauth/authorize",
    "token_endpoint": f"{ISSUER}/oauth/token",
    "introspection_endpoint": f"{ISSUER}/oauth/introspect",
    "userinfo_endpoint": f"{ISSUER}/oauth/userinfo",
    "jwks_uri": f"{ISSUER}/oauth/jwks",
    "scopes_supported": ["openid", "profile", "offline_access"],
    "response_types_supported": ["code"],
    "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
    "subject_types_supported": ["public"],
    "id_token_signing_alg_values_supported": ["ES256", "RS256"],
    "token_endpoint_auth_methods_supported": ["none", "client_secret_post"],
    "code_challenge_methods_supported": ["S256"],
    "claims_supported": ["sub", "nickname", "idp", "idp_sub"],
}
PUBLIC_KEYS = KEY_SET.as_dict(private=False)


@app.get("/.well-known/openid-configuration")
def discovery() -> Response:
    return jsonify(DISCOVERY)


@app.get("/oauth/jwks")
def jwks() -> Response:
    return jsonify(PUBLIC_KEYS)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """As behind a proxy that ends TLS."""
    environ["wsgi.url_scheme"] = "https"
    return app(environ, start_response)
