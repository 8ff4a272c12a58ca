"""What an OpenID provider of certification grade must do, by the ids that the tests here are named after."""

from collections.abc import Mapping

GENERAL: Mapping[str, str] = {
    "G1": "one issuer over https, taken from the configuration whatever a request's headers say",
    "G2": "id_tokens are signed by RS256 unless a client chooses otherwise, with an RSA key of 2048 bits or more",
    "G3": "published keys have kid, kty, use and alg, and every token names its key",
    "G4": "a client proves itself by one method of those that are offered, never by two at once",
    "G5": "the token endpoint reads the body of a POST and nothing else, and no parameter twice",
    "G6": "token answers are JSON that nobody caches, with values that nobody guesses",
    "G7": "errors carry their OAuth code, the state and the issuer, plain text, and never a code",
    "G8": "nothing is sent to an address that is not yet known to be the client's",
    "G9": "redirect URIs are compared byte by byte, but for the port of a native client's loopback address",
    "G10": "a form is answered by 303, so that no browser sends it twice",
    "G11": "a code is good once, for a minute, for one client, URI and verifier; used ones are remembered",
    "G12": "unknown parameters are ignored, unknown scopes are left out",
    "G13": "pages are plain forms with stable names, say who asks, and can be cancelled",
    "G14": "calls to addresses of others are limited in place, time and size",
    "G15": "a call that fails is an answer of the protocol, never a fault of the server",
    "G16": "browsers are told to stay with https, and which paths scripts of other sites may read",
    "G17": "the configuration check tells how each client stands against OAuth 2.1 and FAPI 2.0",
}

BASIC: Mapping[str, str] = {
    "B1": "the whole code flow, up to userinfo",
    "B2": "the id_token's claims, its nonce, its key and its signature",
    "B3": "RS256 for a client that names no algorithm",
    "B4": "alg none is neither advertised nor accepted",
    "B5": "a request without response_type is refused",
    "B6": "userinfo by GET, of the id_token's subject",
    "B7": "userinfo by POST with the token in the header",
    "B8": "userinfo by POST with the token in the form",
    "B9": "a nonce may be left out, and then none comes back",
    "B10": "a confidential client whose entry says so needs neither nonce nor PKCE",
    "B11": "profile claims are told by userinfo, not by the id_token",
    "B12": "email comes with email_verified, a boolean",
    "B13": "address is an object",
    "B14": "phone_number comes with phone_number_verified, a boolean",
    "B15": "all scopes together, each claim in its JSON type",
    "B16": "the order of scopes and parameters says nothing",
    "B17": "display is taken in all its values",
    "B18": "prompt=login makes a signed-in player sign in again",
    "B19": "prompt=none without a session is login_required, without a page",
    "B20": "prompt=none with a session answers at once, for the same sign-in",
    "B21": "prompt=none goes with no other value",
    "B22": "a sign-in older than max_age is not enough",
    "B23": "a sign-in within max_age is enough, and auth_time tells its age",
    "B24": "a parameter that nobody knows is ignored",
    "B25": "id_token_hint names the player it must be, also when it has expired",
    "B26": "login_hint may name anybody",
    "B27": "languages that nobody speaks are no error",
    "B28": "acr_values are met where possible, and acr says what was met",
    "B29": "of two uses of a code at once one is refused",
    "B30": "a code used again later ends what its first use gave",
    "B31": "a redirect URI that is not registered ends on a page",
    "B32": "the authorization request may come by POST",
    "B33": "client_secret_basic and client_secret_post both work",
    "B34": "request objects are refused by their own error codes, never ignored",
    "B35": "a redirect URI inside a request object never loses silently against the one outside",
    "B36": "the claims parameter asks for single claims",
    "B37": "offline_access gives a refresh token, and refreshed id_tokens tell of the same sign-in",
    "B38": "PKCE by S256",
}

CONFIG_OP: Mapping[str, str] = {
    "C1": "the discovery document is JSON at its address, without a redirect",
    "C2": "its issuer is the address it was fetched from",
    "C3": "response types, subject types and id_token algorithms are there",
    "C4": "every endpoint is https, and the key set holds public halves only",
    "C5": "scopes with openid, claims and grant types are there",
    "C6": "languages are BCP 47 tags, challenge methods a list",
    "C7": "every member has its type of RFC 8414",
}

FORM_POST: Mapping[str, str] = {
    "F1": "whatever holds for Basic holds with form_post",
    "F2": "the answer is a page with one form to the redirect URI, its values escaped",
    "F3": "the form has a button, and the policy of the page lets script and form do what they must",
    "F4": "errors go the same way, and nobody caches them",
    "F5": "form_post is advertised",
}

RP_LOGOUT: Mapping[str, str] = {
    "L1": "the logout endpoint is advertised, by GET and POST",
    "L2": "hint, registered URI and state: the session ends and the state comes back",
    "L3": "without state none comes back",
    "L4": "an unregistered URI is not gone to",
    "L5": "a registered URI with a query added is an unregistered one",
    "L6": "an unsigned hint is refused",
    "L7": "a hint that somebody else signed is refused",
    "L8": "without a hint nobody is redirected",
    "L9": "a bare request asks, then says that the player is signed out",
    "L10": "a hint without a URI ends on the page that says so",
    "L11": "a state alone changes nothing about that",
    "L12": "the player is asked when the hint is missing or means another session, by a form that is ours",
    "L13": "an expired hint is good, for its client and its session alone",
    "L14": "logout ends the session and what lives only by it",
}

BACK_CHANNEL: Mapping[str, str] = {
    "K1": "back-channel logout and its sid are advertised",
    "K2": "id_tokens carry the session's sid, the same in all of them and not to be guessed",
    "K3": "each client of the session gets a logout token",
    "K4": "the logout token's type, claims and signature; never a nonce",
    "K5": "a client that needs the sid gets it",
    "K6": "200 and 204 are taken for yes, nothing else, and tried again a few times",
    "K7": "the browser goes on as after any logout, and nobody is signed in there",
    "K8": "clients are told as well when a session ends otherwise",
}

FRONT_CHANNEL: Mapping[str, str] = {
    "H1": "front-channel logout and its sid are advertised",
    "H2": "the logout page loads each client's page with iss and sid",
    "H3": "that page lies where a redirect URI of the client is",
    "H4": "the policy allows these frames only, and the page goes on whether they load or not",
    "H5": "the documents say how far it can be relied on",
}

THIRD_PARTY: Mapping[str, str] = {
    "T1": "a client's entry takes initiate_login_uri",
    "T2": "it can be read at registration_client_uri",
    "T3": "one that is not https is refused",
    "T4": "the links that open a game name the issuer",
}

REGISTRATION: Mapping[str, str] = {
    "Y1": "a registration is answered by 201 with all that is registered, and what the client needs to manage it",
    "Y2": "management is bound to a token of this client, kept as a digest, dead with the client",
    "Y3": "open registration, initial access tokens and management are settings of their own",
    "Y4": "id_tokens are signed as registered, never unsigned",
    "Y5": "userinfo is a signed JWT for a client that registered an algorithm",
    "Y6": "a request without one of the registered redirect URIs ends on a page",
    "Y7": "a registered query of a redirect URI works, and no other",
    "Y8": "a redirect URI with a fragment is not registered",
    "Y9": "policy and terms of the client are linked on the login page",
    "Y17": "registrations are limited by address and in number, go unused, and share no secret",
}

SWITCHES: Mapping[str, str] = {
    "pkce": "required, or optional for a client with a secret; by S256 only",
    "nonce": "optional, or required",
    "state": "optional, or required",
    "token_endpoint_auth_method": "a secret in the header or in the form, none for a public client",
    "id_token_alg": "RS256, or ES256",
    "userinfo_alg": "JSON, or a JWT",
    "response_types": "code alone",
    "response_modes": "query and form_post, or what the entry lists",
    "grants": "what the entry lists",
    "redirect_uri_default": "must be sent",
    "native": "any port of a loopback address and private schemes, for native clients; asked every time",
    "request_object": "off",
    "offline_needs_consent": "asked of third parties only",
    "consent": "asked for third parties and remembered, not asked for the studio's own",
    "claims_in_id_token": "few, or those of the scopes as well",
    "aud_style": "one audience is a text",
    "audiences": "those that the entry lists",
    "subject_type": "public",
    "logout": "addresses after a logout and of its notices, and refresh tokens that end with the session",
    "initiate_login_uri": "an https address",
    "cors_origins": "none, or those of the entry",
    "compat": "clients of the Xsolla profile are unknown here",
    "never": "what no entry can switch on",
}
