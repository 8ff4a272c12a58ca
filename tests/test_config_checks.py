"""Every mistake in a configuration file is found, placed and explained, all of them at once."""

from pathlib import Path

import pytest

from authsrv.config import ConfigError, load
from authsrv.models import TOKEN_EXCHANGE
from tests.support.configuration import (
    CLIENT,
    CONFIDENTIAL,
    HEAD,
    LONG,
    PROJECT,
    WEB,
    problems,
    set_environment,
    warnings,
    written,
)

ID = "7b9d3c52-0000-4000-8000-00000000000a"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)


def client(settings: str) -> str:
    """A public web client with these settings."""
    return WEB + settings


def exchanging(settings: str) -> str:
    """A public web client that exchanges tokens, with these settings."""
    return WEB + f"grants = ['authorization_code', '{TOKEN_EXCHANGE}']\n{settings}"


def backend(settings: str) -> str:
    """A client with a secret that exchanges tokens, with these settings."""
    return CONFIDENTIAL + f"grants = ['authorization_code', '{TOKEN_EXCHANGE}']\n{settings}"


def redirect(uri: str, more: str = "") -> str:
    return CLIENT + f"redirect_uris = ['{uri}']\n{more}"


def issuer(text: str, dev: str = "") -> str:
    return dev + PROJECT.replace("https://login.studio.example", text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(WEB, id="web"),
        pytest.param(CONFIDENTIAL + 'pkce = "optional"', id="optional PKCE of a confidential client"),
        pytest.param(issuer("http://127.0.0.1:8080", "dev = true\n"), id="http on loopback in development"),
        pytest.param(issuer("http://[::1]:8080", "dev = true\n"), id="http on IPv6 loopback in development"),
        pytest.param(issuer("https://login.studio.example:8443/eu/v1"), id="issuer with port and path"),
        pytest.param("dev = true\n" + WEB + 'secret = "short"', id="literal secret in development"),
        pytest.param(redirect("com.example.game:/cb", "native = true"), id="private scheme of a native client"),
        pytest.param(
            CLIENT.replace("clients.web", "clients.40") + 'compat="xsolla"\nredirect_uris=["http://localhost:1"]',
            id="Xsolla",
        ),
        pytest.param(client('cors_origins = ["https://web.example", "http://localhost:3000"]'), id="origins"),
        pytest.param(WEB + "[tokens]\nrefresh_grace = 0\ncode_lifetime = 600", id="limits of the ranges"),
        pytest.param(
            client("access_token_alg = 'PS256'\nid_token_alg = 'EdDSA'\nuserinfo_alg = 'RS256'\n")
            + "[keys]\nalgorithms = ['EdDSA', 'RS256', 'PS256']\nannouncement = 86400\nrotation_period = 604800",
            id="algorithms of the list",
        ),
        pytest.param(WEB + "[sessions]\nidle = 3600\nabsolute = 3600\nsign_in = 300", id="sessions"),
        pytest.param(WEB + "[metrics]\nenabled = true", id="metrics"),
        pytest.param(WEB + "[metrics]\nport = 8080", id="metrics that are off"),
    ],
)
def test_sound_files_are_read(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text) == []


MISTAKES = [
    pytest.param(
        WEB + "[server]\nport = 9464\n[metrics]\nenabled = true",
        "metrics.port",
        "this is the port of the server",
        "name another port",
        id="metrics on the public port",
    ),
    # types and keys
    pytest.param(
        WEB + "[log]\nlevle = 'info'", "log.levle", "there is no such key", "did you mean level?", id="H02 unknown key"
    ),
    pytest.param(
        client("zzz = 1"),
        "projects.p.clients.web.zzz",
        "there is no such key",
        "remove it; possible here: access_",
        id="H02 strange key",
    ),
    pytest.param(
        PROJECT + "[projects.p.platforms.psn]",
        "projects.p.platforms.psn",
        "there is no such key",
        "remove it; possible here: epicgames, guest, steam, xbox",
        id="H02 unknown platform",
    ),
    pytest.param(
        PROJECT + "[projects.p.platforms.guest]\nenabled = true",
        "projects.p.platforms.guest.enabled",
        "there is no such key",
        "remove it",
        id="H02 guests are on where their block stands",
    ),
    pytest.param(
        client("secret = { env = 'SECRET', file = 'x' }"),
        "projects.p.clients.web.secret",
        "write a secret as",
        "",
        id="H02 two sources of a secret",
    ),
    pytest.param(HEAD.partition("\n")[2] + PROJECT[len(HEAD) :], "issuer", "this is required", "add it", id="missing"),
    pytest.param(
        "database = 5\n" + PROJECT.replace('[database]\nurl = "sqlite:///var/authsrv.db"\n', ""),
        "database",
        "this is not a table",
        "write it as a table",
        id="no table",
    ),
    pytest.param(
        client("name = 5"), "projects.p.clients.web.name", "this is not a text", "write it in quotes", id="no text"
    ),
    pytest.param(
        WEB + "[server]\nport = '80'", "server.port", "this is not a whole number", "without quotes", id="no number"
    ),
    pytest.param(
        WEB + "[server]\nport = 70000", "server.port", "this is too large", "write 65535 or less", id="too large"
    ),
    pytest.param(WEB + "[server]\nport = -1", "server.port", "this is too small", "write 0 or more", id="too small"),
    pytest.param(
        WEB + "[tokens]\ncode_lifetime = 601",
        "tokens.code_lifetime",
        "this is too large",
        "write 600 or less",
        id="code lifetime",
    ),
    pytest.param(
        WEB + "[tokens]\nrefresh_grace = 61",
        "tokens.refresh_grace",
        "this is too large",
        "write 60 or less",
        id="grace",
    ),
    pytest.param("dev = 'yes'\n" + WEB, "dev", "this is neither true nor false", "without quotes", id="no boolean"),
    pytest.param(
        CLIENT + "redirect_uris = 'https://web.example/cb'",
        "projects.p.clients.web.redirect_uris",
        "this is not a list",
        "brackets",
        id="no list",
    ),
    pytest.param(
        client("scopes = ['openid', 5]"), "projects.p.clients.web.scopes[1]", "this is not a text", "quotes", id="item"
    ),
    pytest.param(
        client("secret = 5"), "projects.p.clients.web.secret", "this is not a secret", "write { env", id="no secret"
    ),
    pytest.param(
        client("grants = ['password']"),
        "projects.p.clients.web.grants[0]",
        "this is none of the possible",
        "'authorization_code', 'refresh_token'",
        id="grant",
    ),
    pytest.param(
        client(f"name = '{'x' * 101}'"),
        "projects.p.clients.web.name",
        "the text is too long",
        "100 characters",
        id="long name",
    ),
    pytest.param(
        PROJECT.replace("[480]", "[]"),
        "projects.p.platforms.steam.app_ids",
        "the list is too short",
        "write 1 or more",
        id="short list",
    ),
    pytest.param(
        client("secret = { env = 'NOT_SET' }"),
        "projects.p.clients.web.secret",
        "the environment variable NOT_SET is not set",
        "set it",
        id="unset variable",
    ),
    pytest.param(
        client("secret = { file = 'no/such/file' }"),
        "projects.p.clients.web.secret",
        "the file no/such/file cannot be read",
        "create it",
        id="missing secret file",
    ),
    pytest.param(
        PROJECT.replace("[projects.p]", "[projects.p]\nname = ''", 1),
        "projects.p.name",
        "the name is empty, and players read it on pages",
        "leave it out: then it is p",
        id="empty project name",
    ),
    pytest.param(
        client("name = '  '"),
        "projects.p.clients.web.name",
        "the name is empty",
        "leave it out: then it is web",
        id="blank client name",
    ),
    # the issuer
    pytest.param(
        issuer("http://login.studio.example"), "issuer", "the issuer is on plain http", "use https", id="H06 http"
    ),
    pytest.param(
        issuer("http://login.studio.example", "dev = true\n"),
        "issuer",
        "the issuer is on plain http",
        "use https",
        id="H06 http in development",
    ),
    pytest.param(
        issuer("https://login.studio.example/"), "issuer", "the issuer ends with a slash", "remove it", id="H06 slash"
    ),
    pytest.param(
        issuer("https://login.studio.example?a=1"), "issuer", "the issuer has a query", "remove the ?", id="H06 query"
    ),
    pytest.param(
        issuer("https://login.studio.example#a"),
        "issuer",
        "the issuer has a fragment",
        "remove the #",
        id="H06 fragment",
    ),
    pytest.param(
        issuer("https://me@login.studio.example"),
        "issuer",
        "the issuer has a user name",
        "remove it",
        id="H06 userinfo",
    ),
    pytest.param(
        issuer("https://Login.studio.example"), "issuer", "the issuer is not an address", "lower case", id="H06 case"
    ),
    pytest.param(
        issuer("login.studio.example"), "issuer", "the issuer is not an address", "write https", id="H06 no scheme"
    ),
    pytest.param(
        issuer("https://login.studio.example:65536"), "issuer", "the issuer is not an address", "write", id="H06 port"
    ),
    pytest.param(
        issuer("https://login.studio.example:443"),
        "issuer",
        "the issuer names the default port",
        "leave",
        id="H06 default port",
    ),
    pytest.param(
        issuer("https://localhost:8443"), "issuer", "the issuer is this machine", "dev = true", id="H06 loopback"
    ),
    pytest.param(
        issuer("https://127.0.0.1"), "issuer", "the issuer is this machine", "dev = true", id="H06 loopback address"
    ),
    # server, database, keys, tokens
    pytest.param(
        WEB + "[server]\ntrusted_proxies = ['10.0.0.0/8', 'proxy']",
        "server.trusted_proxies[1]",
        "this is not an IP",
        "10.0.0.0/8",
        id="F18 no network",
    ),
    pytest.param(
        WEB + "[server]\ntrusted_proxies = [10]",
        "server.trusted_proxies[0]",
        "this is not a text",
        "10.0.0.0/8",
        id="F18 number",
    ),
    pytest.param(
        WEB + "[server]\ntrusted_proxies = ['::/0']",
        "server.trusted_proxies[0]",
        "this trusts every sender",
        "name the network",
        id="F18 everybody",
    ),
    pytest.param(
        PROJECT.replace("sqlite:///var/authsrv.db", "mysql://db/x"),
        "database.url",
        "this is no address of a database",
        "write sqlite",
        id="database",
    ),
    pytest.param(
        PROJECT.replace("sqlite:///var/authsrv.db", "postgresql://db.studio.example/"),
        "database.url",
        "this is no address of a database",
        "write sqlite",
        id="database of PostgreSQL without name",
    ),
    pytest.param(
        PROJECT.replace("sqlite:///var/authsrv.db", "postgresql://authsrv@db.studio.example/authsrv"),
        "database.url",
        "the URL does not say how the connection over the network is secured",
        "add ?sslmode=verify-full",
        id="database over the network, unsecured",
    ),
    pytest.param(
        PROJECT.replace("sqlite:///var/authsrv.db", "postgresql://authsrv:canary@127.0.0.1/authsrv"),
        "database.url",
        "the secret stands in the file itself",
        "write { env",
        id="password of the database in its URL",
    ),
    pytest.param(
        PROJECT.replace("sqlite:///var/authsrv.db", "sqlite:///"),
        "database.url",
        "this is no address of a database",
        "write sqlite",
        id="database without name",
    ),
    pytest.param(
        PROJECT.replace("sqlite:///var/authsrv.db", "sqlite:///:memory:"),
        "database.url",
        "this is no address of a database",
        "write sqlite",
        id="database in memory",
    ),
    pytest.param(
        PROJECT.replace("sqlite:///var/authsrv.db", "sqlite:///var/authsrv.db?mode=ro"),
        "database.url",
        "this is no address of a database",
        "write sqlite",
        id="database with parameters",
    ),
    pytest.param(
        WEB + "[keys]\npassphrase = { env = 'SHORT' }",
        "keys.passphrase",
        "the passphrase has fewer than 32",
        "openssl",
        id="C31 passphrase",
    ),
    pytest.param(
        WEB + "[keys]\nalgorithms = ['ES256']",
        "keys.algorithms",
        "RS256 is missing",
        "add it to the list",
        id="no RS256",
    ),
    pytest.param(
        WEB + "[keys]\nalgorithms = ['RS256', 'RS256']",
        "keys.algorithms[1]",
        "RS256 stands here twice",
        "remove one",
        id="algorithm twice",
    ),
    pytest.param(
        client("id_token_alg = 'EdDSA'") + "\n[keys]\nalgorithms = ['RS256', 'HS256']",
        "keys.algorithms[1]",
        "this is none of the possible",
        "write 'ES256', 'RS256', 'PS256' or 'EdDSA'",
        id="C31 unknown algorithm",
    ),
    pytest.param(
        client("access_token_alg = 'PS256'"),
        "projects.p.clients.web.access_token_alg",
        "there are no keys for PS256",
        "write ES256 or RS256, or add PS256 to keys.algorithms",
        id="C24 access tokens without keys",
    ),
    pytest.param(
        client("id_token_alg = 'EdDSA'"),
        "projects.p.clients.web.id_token_alg",
        "there are no keys for EdDSA",
        "write ES256 or RS256, or add EdDSA to keys.algorithms",
        id="C24 id_tokens without keys",
    ),
    pytest.param(
        client("userinfo_alg = 'ES256'") + "\n[keys]\nalgorithms = ['RS256']",
        "projects.p.clients.web.userinfo_alg",
        "there are no keys for ES256",
        "write RS256, or add ES256 to keys.algorithms",
        id="C24 UserInfo without keys",
    ),
    pytest.param(
        WEB + "[keys]\nannouncement = 86399",
        "keys.announcement",
        "this is too small",
        "write 86400 or more",
        id="R21 short announcement",
    ),
    pytest.param(
        WEB + "[keys]\nannouncement = 864000\nrotation_period = 864000",
        "keys.announcement",
        "announcement is not shorter than rotation_period",
        "shorten",
        id="key times",
    ),
    pytest.param(
        WEB + "[tokens]\nrefresh_idle = 864000\nrefresh_absolute = 86400",
        "tokens.refresh_idle",
        "refresh_idle is longer",
        "shorten",
        id="lifetimes",
    ),
    pytest.param(
        WEB + "[sessions]\nidle = 7200\nabsolute = 3600",
        "sessions.idle",
        "idle is longer",
        "lengthen absolute",
        id="session lifetimes",
    ),
    pytest.param(
        WEB + "[sessions]\nsign_in = 86401", "sessions.sign_in", "this is too large", "86400 or less", id="long sign-in"
    ),
    # projects
    pytest.param(HEAD, "projects", "there is no project", "add [projects.NAME]", id="no project"),
    pytest.param(
        HEAD + "[projects.'A b']", 'projects."A b"', "a project's key has up to 64", "choose another", id="project key"
    ),
    pytest.param(HEAD + "[projects.p]\nid = '1'", "projects.p.id", "the id is not a UUID", "uuidgen", id="project id"),
    pytest.param(
        HEAD + "[projects.p]\ndefault_audience = ['a b']",
        "projects.p.default_audience[0]",
        "this is no audience",
        "write 1 to 255",
        id="audience",
    ),
    pytest.param(
        HEAD + f"[projects.p]\nid = '{ID.upper()}'\n[projects.q]\nid = '{ID}'",
        "projects.q.id",
        "project p has this id",
        "change",
        id="same project id",
    ),
    pytest.param(
        WEB + "[projects.q.clients.web]\nredirect_uris = ['https://web.example/cb']",
        "projects.q.clients.web",
        "project p has a client of this id",
        "rename",
        id="same client id",
    ),
    # platforms
    pytest.param(
        PROJECT.replace("login-studio", "AzurePlayFab"),
        "projects.p.platforms.steam.identity",
        "app 480: identity belongs",
        "choose",
        id="platform",
    ),
    pytest.param(
        PROJECT + "[projects.p.platforms.steam.hosts]\npublic = 'http://127.0.0.1:8090/steam'",
        "projects.p.platforms.steam.hosts",
        "hosts may be changed only with dev = true",
        "leave",
        id="H05 platform hosts",
    ),
    # client ids and types
    pytest.param(
        CLIENT.replace("clients.web", "clients.7b9d3c52-0000-4000-8000-000000000001")
        + "redirect_uris=['https://a.example/']",
        "projects.p.clients.7b9d3c52-0000-4000-8000-000000000001",
        "the client id looks like a player's id",
        "choose",
        id="UUID id",
    ),
    pytest.param(
        WEB.replace("clients.web", "clients.c_web"),
        "projects.p.clients.c_web",
        "ids that begin with c_",
        "choose",
        id="run-time prefix",
    ),
    pytest.param(
        WEB.replace("clients.web", "clients.'account.p'"),
        'projects.p.clients."account.p"',
        "ids that begin with account. are for the account pages",
        "choose",
        id="prefix of account pages",
    ),
    pytest.param(
        WEB.replace("clients.web", "clients.'a b'"),
        'projects.p.clients."a b"',
        "the client id is longer",
        "use letters",
        id="id characters",
    ),
    pytest.param(
        client("compat = 'xsolla'"),
        "projects.p.clients.web",
        "the Xsolla SDKs keep the client id",
        "digits only",
        id="Xsolla id",
    ),
    pytest.param(
        WEB.replace("clients.web", "clients.2147483648") + "compat = 'xsolla'",
        "projects.p.clients.2147483648",
        "the Xsolla SDKs keep",
        "2147483647",
        id="F22 Xsolla id too large",
    ),
    pytest.param(
        CONFIDENTIAL + "type = 'public'",
        "projects.p.clients.web.type",
        "a public client has no secret",
        "remove",
        id="public with secret",
    ),
    pytest.param(
        client("type = 'confidential'"),
        "projects.p.clients.web.type",
        "a confidential client needs a secret",
        "add secret",
        id="confidential without",
    ),
    pytest.param(
        CLIENT + "type = 'server'",
        "projects.p.clients.web.type",
        "a server client needs a secret",
        "add secret",
        id="server without",
    ),
    pytest.param(
        CONFIDENTIAL + "type = 'server'",
        "projects.p.clients.web.redirect_uris",
        "this client never gets a code",
        "remove",
        id="server with redirect",
    ),
    pytest.param(
        CLIENT
        + "type='server'\nsecret={env='SECRET'}\ngrants=['client_credentials','authorization_code']\nredirect_uris=['https://a.example/']",
        "projects.p.clients.web.grants",
        "a server client has no players",
        "leave",
        id="server with players",
    ),
    # secrets
    pytest.param(
        client(f"secret = 'canary{LONG}'"),
        "projects.p.clients.web.secret",
        "the secret stands in the file itself",
        "env",
        id="H05 literal secret",
    ),
    pytest.param(
        client(f"secrets = [{{env='SECRET'}}, 'canary{LONG}2']"),
        "projects.p.clients.web.secrets[1]",
        "the secret stands in the file itself",
        "env",
        id="H05 literal in a list",
    ),
    pytest.param(
        PROJECT.replace('{ env = "KEY" }', '"0123456789abcdef0123456789abcdef"'),
        "projects.p.platforms.steam.web_api_key",
        "the secret stands in the file itself",
        "env",
        id="H05 literal platform key",
    ),
    pytest.param(
        client("secret = { env = 'SHORT' }"),
        "projects.p.clients.web.secret",
        "the secret has fewer than 32",
        "openssl",
        id="C31 short secret",
    ),
    pytest.param(
        client("secrets = [{ env = 'HUGE' }]"),
        "projects.p.clients.web.secrets[0]",
        "the secret has fewer than 32 or more than 512",
        "openssl",
        id="F17 long secret",
    ),
    # grants
    pytest.param(
        client("grants = ['authorization_code', 'client_credentials']"),
        "projects.p.clients.web.grants",
        "client_credentials needs a secret",
        "give",
        id="public server grant",
    ),
    pytest.param(
        CLIENT + "grants = ['refresh_token']",
        "projects.p.clients.web.grants",
        "refresh_token is of no use",
        "add",
        id="refresh alone",
    ),
    pytest.param(
        CLIENT + "grants = []", "projects.p.clients.web.grants", "the list of grants is empty", "leave", id="no grants"
    ),
    # redirect URIs
    pytest.param(
        CLIENT, "projects.p.clients.web.redirect_uris", "a client that redeems codes needs", "type = ", id="no redirect"
    ),
    pytest.param(
        redirect("https://*.web.example/cb"),
        "projects.p.clients.web.redirect_uris[0]",
        "the redirect URI has a wildcard",
        "list",
        id="H01 wildcard",
    ),
    pytest.param(
        redirect("http://web.example/cb"),
        "projects.p.clients.web.redirect_uris[0]",
        "plain http would show",
        "use https",
        id="H01 http",
    ),
    pytest.param(
        redirect("http://localhost/cb"),
        "projects.p.clients.web.redirect_uris[0]",
        "the name localhost",
        "127.0.0.1",
        id="A11 localhost",
    ),
    pytest.param(
        redirect("https://me@web.example/cb"),
        "projects.p.clients.web.redirect_uris[0]",
        "the redirect URI has a user name",
        "remove",
        id="A03 H01 userinfo",
    ),
    pytest.param(
        redirect("https:\\\\web.example"),
        "projects.p.clients.web.redirect_uris[0]",
        "the redirect URI is empty, longer",
        "ASCII",
        id="A04 backslashes",
    ),
    pytest.param(
        redirect("https://web.example/cb#x"),
        "projects.p.clients.web.redirect_uris[0]",
        "the redirect URI has a fragment",
        "remove",
        id="A08 H01 fragment",
    ),
    pytest.param(
        redirect("javascript:alert(1)", "native = true"),
        "projects.p.clients.web.redirect_uris[0]",
        "a redirect to this scheme",
        "https",
        id="A09 script",
    ),
    pytest.param(
        redirect("https://web.example/cb?state=1"),
        "projects.p.clients.web.redirect_uris[0]",
        "the redirect URI has a query parameter",
        "rename",
        id="A10 parameter",
    ),
    pytest.param(
        redirect("mygame:/cb", "native = true"),
        "projects.p.clients.web.redirect_uris[0]",
        "any application could claim",
        "reverse",
        id="A12 scheme without dot",
    ),
    pytest.param(
        redirect("com.example.game:/cb"),
        "projects.p.clients.web.redirect_uris[0]",
        "the scheme com.example.game: is for",
        "native = true",
        id="private scheme of a web client",
    ),
    pytest.param(
        CLIENT + "redirect_uris = ['https://a.example/', 'https://a.example/']",
        "projects.p.clients.web.redirect_uris[1]",
        "the redirect URI stands here twice",
        "remove",
        id="repeated",
    ),
    pytest.param(
        client("error_redirect_uri = 'http://web.example/error'"),
        "projects.p.clients.web.error_redirect_uri",
        "plain http",
        "https",
        id="error redirect",
    ),
    # scopes, audiences, profile, browser
    pytest.param(
        client("scopes = ['openid profile']"),
        "projects.p.clients.web.scopes[0]",
        "this is no scope",
        "one scope per",
        id="scope with space",
    ),
    pytest.param(
        client("""scopes = ['a"b']"""),
        "projects.p.clients.web.scopes[0]",
        "this is no scope",
        "one scope",
        id="A24 quote",
    ),
    pytest.param(
        client("scopes = ['sub']"),
        "projects.p.clients.web.scopes[0]",
        "sub is the name of a claim",
        "another",
        id="C30 claim",
    ),
    pytest.param(
        client("extra_scopes = ['iss']"),
        "projects.p.clients.web.extra_scopes[0]",
        "iss is the name of a claim",
        "another",
        id="C30 claim as extra",
    ),
    pytest.param(
        client("extra_scopes = '*'"),
        "projects.p.clients.web.extra_scopes",
        "only clients with compat",
        "list",
        id="any scope",
    ),
    pytest.param(
        client("extra_scopes = 'all'"),
        "projects.p.clients.web.extra_scopes",
        "this is not a list",
        "brackets",
        id="extra scopes",
    ),
    pytest.param(
        client("audiences = ['']"),
        "projects.p.clients.web.audiences[0]",
        "this is no audience",
        "write",
        id="empty audience",
    ),
    pytest.param(
        client("id_token_audiences = ['https://mod.io']"),
        "projects.p.clients.web.id_token_audiences",
        "the client exchanges no tokens",
        TOKEN_EXCHANGE,
        id="id_token audience without exchange",
    ),
    pytest.param(
        exchanging("id_token_audiences = ['https://mod.io', 'a b']"),
        "projects.p.clients.web.id_token_audiences[1]",
        "this is no audience",
        "write",
        id="id_token audience",
    ),
    pytest.param(
        exchanging("id_token_audiences = ['c_1']"),
        "projects.p.clients.web.id_token_audiences[0]",
        "a client that registered itself",
        "outside this server",
        id="B36 id_token for a registered client",
    ),
    pytest.param(
        exchanging("id_token_audiences = ['web']"),
        "projects.p.clients.web.id_token_audiences[0]",
        "this is a client's id",
        "scope openid",
        id="id_token for the client itself",
    ),
    pytest.param(
        exchanging("id_token_audiences = ['shop']")
        + "\n[projects.q.clients.shop]\nredirect_uris = ['https://shop.example/cb']",
        "projects.p.clients.web.id_token_audiences[0]",
        "this is a client's id",
        "outside this server",
        id="B36 id_token for another client",
    ),
    pytest.param(
        exchanging("id_token_audiences = ['https://login.studio.example']"),
        "projects.p.clients.web.id_token_audiences[0]",
        "this is a client's id, or the issuer",
        "outside",
        id="id_token for the issuer",
    ),
    pytest.param(
        WEB.replace("clients.web", "clients.40") + "compat='xsolla'\nid_token_audiences=['https://mod.io']",
        "projects.p.clients.40.id_token_audiences",
        "clients of the Xsolla profile get no id_tokens",
        "leave",
        id="id_token of the Xsolla profile",
    ),
    pytest.param(
        CONFIDENTIAL + "exchange_from = ['web']",
        "projects.p.clients.web.exchange_from",
        "the client exchanges no tokens",
        TOKEN_EXCHANGE,
        id="exchange_from without exchange",
    ),
    pytest.param(
        exchanging("exchange_from = ['web']"),
        "projects.p.clients.web.exchange_from",
        "whoever was sent a token",
        "give the client a secret",
        id="B36 exchange_from of a client that anybody can name",
    ),
    pytest.param(
        backend("exchange_from = ['web']\nfirst_party = false"),
        "projects.p.clients.web.exchange_from",
        "players are never asked",
        "consent",
        id="B36 exchange_from of somebody else's client",
    ),
    pytest.param(
        backend("exchange_from = ['c_1', 'lanucher']"),
        "projects.p.clients.web.exchange_from[1]",
        "the project has no client of this id",
        "write",
        id="H02 misspelt exchange_from",
    ),
    pytest.param(
        backend("exchange_from = ['shop']")
        + "\n[projects.q.clients.shop]\nredirect_uris = ['https://shop.example/cb']",
        "projects.p.clients.web.exchange_from[0]",
        "the project has no client of this id",
        "write",
        id="B36 exchange_from of another project",
    ),
    pytest.param(
        backend("exchange_from = ['40']")
        + "\n[projects.p.clients.40]\ncompat = 'xsolla'\nredirect_uris = ['https://shop.example/cb']",
        "projects.p.clients.web.exchange_from[0]",
        "access tokens in the Xsolla profile are not exchanged",
        "remove",
        id="exchange_from of the Xsolla profile",
    ),
    pytest.param(
        client("pkce = 'optional'"), "projects.p.clients.web.pkce", "without PKCE anybody", "leave", id="A15 PKCE"
    ),
    pytest.param(
        WEB.replace("clients.web", "clients.40") + "compat='xsolla'\naccess_token_alg='ES256'",
        "projects.p.clients.40.access_token_alg",
        "the Xsolla profile has RS256",
        "leave",
        id="Xsolla algorithm",
    ),
    pytest.param(
        client("cors_origins = ['*']"),
        "projects.p.clients.web.cors_origins[0]",
        "this is no web origin",
        "https",
        id="H13 any origin",
    ),
    pytest.param(
        client("cors_origins = ['https://web.example/']"),
        "projects.p.clients.web.cors_origins[0]",
        "this is no web origin",
        "slash",
        id="origin with slash",
    ),
    pytest.param(
        client("cors_origins = ['http://web.example']"),
        "projects.p.clients.web.cors_origins[0]",
        "this is no web origin",
        "https",
        id="http origin",
    ),
    pytest.param(
        client("refresh_absolute = 60"),
        "projects.p.clients.web.refresh_idle",
        "refresh_idle is longer",
        "shorten",
        id="client lifetimes",
    ),
]


@pytest.mark.parametrize(("text", "key", "what", "remedy"), MISTAKES)
def test_each_mistake_is_one_problem_with_its_key_and_remedy(
    tmp_path: Path, text: str, key: str, what: str, remedy: str
) -> None:
    [problem] = problems(tmp_path, text)
    assert problem.key == key
    assert problem.what.startswith(what)
    assert remedy in problem.remedy


@pytest.mark.parametrize("dev", ["", "dev = true\n"])
def test_H05_a_switched_off_transport_check_is_refused_outside_development(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dev: str
) -> None:
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    found = [problem.key for problem in problems(tmp_path, dev + WEB)]
    assert found == ([] if dev else ["AUTHLIB_INSECURE_TRANSPORT"])


BAD = """issuer = "https://login.studio.example/"
devv = true
[server]
port = "80"
trusted_proxies = ["0.0.0.0/0"]
[database]
url = "postgresql://user:canary@db/authsrv"
[projects.p.platforms.steam]
app_ids = [480]
web_api_key = { env = "NOT_SET" }
[projects.p.platforms.epicgames]
client_id = "x"
[projects.p.clients.launcher]
name = 5
redirect_uris = [
  "http://127.0.0.1/callback",
  "https://*.example/cb",
]
scopes = ["sub"]
extra_scopes = "all"
[projects.p.clients.c_shop]
secret = "canary"
"""


def test_all_mistakes_are_reported_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    assert [(problem.line, problem.key) for problem in problems(tmp_path, BAD)] == [
        (1, "issuer"),
        (2, "devv"),
        (4, "server.port"),
        (5, "server.trusted_proxies[0]"),
        (7, "database.url"),  # nothing says how the connection is secured
        (7, "database.url"),  # and a password stands in it
        (10, "projects.p.platforms.steam.web_api_key"),
        (11, "projects.p.platforms.epicgames.client_ids"),
        (14, "projects.p.clients.launcher.name"),
        (17, "projects.p.clients.launcher.redirect_uris[1]"),
        (19, "projects.p.clients.launcher.scopes[0]"),
        (20, "projects.p.clients.launcher.extra_scopes"),
        (21, "projects.p.clients.c_shop"),
        (21, "projects.p.clients.c_shop.redirect_uris"),
        (22, "projects.p.clients.c_shop.secret"),
        (22, "projects.p.clients.c_shop.secret"),
    ]


def test_warnings_come_with_a_refused_file_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load(written(tmp_path, BAD))
    assert [(one.line, one.key) for one in refused.value.warnings] == [
        (6, "database.erasures"),
        (16, "projects.p.clients.launcher.redirect_uris[0]"),
    ]


@pytest.mark.parametrize(
    ("text", "key", "what"),
    [
        pytest.param("dev = true\n" + WEB, "dev", "DEVELOPMENT MODE", id="development"),
        pytest.param(HEAD + "[projects.p]", "projects.p.platforms", "the project has no platform", id="no platform"),
        pytest.param(
            PROJECT.replace("sqlite:///var/authsrv.db", "postgresql://authsrv@127.0.0.1/authsrv"),
            "database.erasures",
            "a restored backup brings erased players back",
            id="no ledger of erasures",
        ),
        pytest.param(
            PROJECT.replace("login-studio", "none"),
            "projects.p.platforms.steam.identity",
            "app 480: identity is none",
            id="platform",
        ),
        pytest.param(
            redirect("http://127.0.0.1/cb"), "projects.p.clients.web.redirect_uris[0]", "only port 80", id="loopback"
        ),
        pytest.param(
            redirect("http://localhost:1", "compat='xsolla'\nextra_scopes='*'").replace("web]", "40]"),
            "projects.p.clients.40.extra_scopes",
            "every scope",
            id="any scope",
        ),
        pytest.param(
            PROJECT.replace(
                "sqlite:///var/authsrv.db",
                'postgresql://authsrv@db.studio.example/x?sslmode=require"\nerasures = "/var/lib/erasures',
            ),
            "database.url",
            "somebody on the way could pass for this server",
            id="database over the network, of an unproven server",
        ),
        pytest.param(
            WEB + "[sessions]\nsign_in = 299",
            "sessions.sign_in",
            "players who must first find a password",
            id="short sign-in",
        ),
    ],
)
def test_risks_are_warned_of(tmp_path: Path, text: str, key: str, what: str) -> None:
    [warning] = warnings(tmp_path, text)
    assert warning.key == key
    assert warning.what.startswith(what)


def test_five_minutes_to_sign_in_are_not_warned_of(tmp_path: Path) -> None:
    assert warnings(tmp_path, WEB + "[sessions]\nsign_in = 300") == []


def test_a_file_of_nonsense_ends_in_a_report(tmp_path: Path) -> None:
    root = "issuer = []\ndev = {}\nserver = 1\ndatabase = true\nprojects = 'x'\n"
    text = root + "[tokens]\ncode_lifetime = 'x'\n[limits]\na.b = 1"
    assert [problem.key for problem in problems(tmp_path, text)] == [
        "issuer",
        "dev",
        "server",
        "database",
        "projects",
        "tokens.code_lifetime",
        "limits.a",
    ]
