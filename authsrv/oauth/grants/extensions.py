"""Hooks on Authlib's grants: PKCE by S256 only (RFC 7636) and the id_token (OpenID Connect Core section 3.1.3.3).

One extension for each grant, so that a request with two faults always gets the same error.
"""

import re
from typing import TYPE_CHECKING, Any, ClassVar

from authlib.oauth2.rfc6749.errors import InvalidGrantError
from authlib.oauth2.rfc7636 import CodeChallenge

from authsrv.errors import InvalidRequest
from authsrv.oauth.grants.base import LoadingGrant
from authsrv.storage.changes import CountCodeFailure

if TYPE_CHECKING:
    from authsrv.oauth.grants.authorization_code import AuthorizationCodeGrant

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class IdToken:
    """Adds an id_token when the scope has `openid`."""

    def __call__(self, grant: LoadingGrant) -> None:
        """Hang the extension on a grant."""
        grant.register_hook("after_create_token_response", self.add)

    def add(self, grant: LoadingGrant, response: tuple[int, dict[str, Any], Any]) -> None:
        """Put the id_token into the answer that the grant made."""
        _, token, _ = response
        facts = grant.told
        if facts and "openid" in facts.scope and grant.registered.profile == "standard" and grant.may_have_id_token():
            token["id_token"] = grant.server.tokens.id_token(facts, token["access_token"], grant.request.now)


class CodeExtension(CodeChallenge):
    """PKCE at both ends of the code flow, then the judgement of the code, then the id_token."""

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD: ClassVar[list[str]] = ["S256"]

    def __init__(self) -> None:
        # Authlib's own switch forbids per-client rules; ours stand in the two methods below.
        super().__init__(required=False)
        self._id_token = IdToken()

    def __call__(self, grant: LoadingGrant) -> None:
        """Hang the extension on a grant."""
        super().__call__(grant)
        self._id_token(grant)

    def validate_code_challenge(self, grant: LoadingGrant, redirect_uri: str) -> None:
        """At the authorization request: a challenge where the client owes one, in the RFC's form, by S256."""
        sent = grant.request.payload.data
        challenge, method = sent.get("code_challenge", ""), sent.get("code_challenge_method", "")
        if not challenge and not method and not grant.registered.pkce_required:
            return
        if not challenge:
            raise InvalidRequest("This client must send a code_challenge (PKCE).", parameter="code_challenge")
        if method != "S256":
            raise InvalidRequest("Send code_challenge_method=S256.", parameter="code_challenge_method")
        if not _CHALLENGE.fullmatch(challenge):
            raise InvalidRequest("A code_challenge is 43 base64url characters.", parameter="code_challenge")

    def validate_code_verifier(self, grant: "AuthorizationCodeGrant", result: Any) -> None:
        """At the token request. A wrong verifier is counted; a used code is judged only once the verifier fits."""
        verifier = grant.request.form.get("code_verifier", "")
        if verifier and not _VERIFIER.fullmatch(verifier):
            raise InvalidRequest("A code_verifier is 43 to 128 unreserved characters.", parameter="code_verifier")
        try:
            super().validate_code_verifier(grant, result)
        except InvalidGrantError:
            grant.penalties.append(CountCodeFailure(grant.found.id))
            raise
        grant.judge_code()
