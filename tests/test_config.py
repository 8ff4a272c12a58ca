"""The configuration file: what is read from it, how it becomes models, and what it never prints."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from ipaddress import ip_network
from pathlib import Path

import pytest

from authsrv.config import Config, ConfigError, json_schema, load
from authsrv.config.schema import default_project_id
from authsrv.limits import Quotas
from authsrv.models import (
    TOKEN_EXCHANGE,
    Client,
    ClientLinks,
    ClientSecret,
    Digest,
    KeyRules,
    Lifetimes,
    LogoutRules,
    Project,
    SessionRules,
)
from authsrv.platforms import PLATFORMS
from authsrv.platforms.steam.settings import SteamSettings

SECRET = "canary-" + "s" * 32

SMALL = """
issuer = "https://login.studio.example"
[database]
url = "sqlite:///var/authsrv.db"
[projects.skyforge]
name = "Skyforge"
[projects.skyforge.platforms.steam]
app_ids = [480]
web_api_key = { env = "STEAM_WEB_API_KEY" }
identity = "login-studio"
[projects.skyforge.clients.launcher]
name = "Skyforge launcher"
native = true
redirect_uris = ["http://127.0.0.1/callback"]
[projects.skyforge.clients.shop]
secret = { env = "SHOP_SECRET" }
redirect_uris = ["https://shop.example/cb"]
[projects.skyforge.clients.backend]
type = "server"
secrets = [{ env = "SHOP_SECRET" }, { env = "STEAM_WEB_API_KEY" }]
[projects.skyforge.clients.40]
compat = "xsolla"
extra_scopes = "*"
redirect_uris = ["http://localhost:65421"]
"""

BROWSER = """
[projects.skyforge.clients.site]
redirect_uris = ["https://site.example/cb"]
response_modes = ["fragment"]
state = "required"
nonce = "required"
userinfo_alg = "ES256"
profile_in_id_token = true
client_uri = "https://site.example/"
policy_uri = "https://site.example/policy"
tos_uri = "https://site.example/terms"
initiate_login_uri = "https://site.example/login"
post_logout_redirect_uris = ["https://site.example/bye"]
backchannel_logout_uri = "https://api.site.example/logout"
backchannel_logout_session_required = true
frontchannel_logout_uri = "https://site.example/frame"
refresh_ends_with_session = true
[sessions]
idle = 600
absolute = 1200
sign_in = 300
"""

Write = Callable[[str], Path]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEAM_WEB_API_KEY", "0123456789abcdef0123456789abcdef")
    monkeypatch.setenv("SHOP_SECRET", SECRET)
    monkeypatch.delenv("AUTHLIB_INSECURE_TRANSPORT", raising=False)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str) -> Path:
        path = tmp_path / "authsrv.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


@pytest.fixture
def small(write: Write) -> Config:
    return load(write(SMALL))


def test_a_small_file_is_enough(small: Config) -> None:
    assert small.issuer == "https://login.studio.example"
    assert not small.dev
    assert (small.server.host, small.server.port) == ("127.0.0.1", 8080)
    assert (small.server.drain_seconds, small.server.graceful_seconds) == (10, 20)
    assert (small.log.level, small.log.format) == ("info", "json")
    assert small.keys.passphrase is None


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "authsrv.toml"
    path.write_text(SMALL, encoding="utf-8-sig")
    assert load(path).projects["skyforge"].name == "Skyforge"


def test_projects_become_models(small: Config) -> None:
    assert small.project_models() == {
        "skyforge": Project(
            key="skyforge",
            id=default_project_id("https://login.studio.example", "skyforge"),
            name="Skyforge",
            default_audience=(),
            platform_claims=True,
            platforms=frozenset({"steam"}),
        )
    }


def test_a_default_project_id_never_changes() -> None:
    assert default_project_id("https://login.studio.example", "skyforge") == "e1592f9f-4a7d-5c02-93f3-fc3312558712"


def test_a_public_client_becomes_a_model(small: Config) -> None:
    assert small.clients()["launcher"] == Client(
        client_id="launcher",
        project=small.project_models()["skyforge"],
        name="Skyforge launcher",
        redirect_uris=("http://127.0.0.1/callback",),
        grant_types=frozenset({"authorization_code", "refresh_token"}),
        scopes=frozenset({"openid", "profile", "offline"}),
        native=True,
    )


def test_a_secret_becomes_its_digest(small: Config) -> None:
    shop = small.clients()["shop"]
    assert shop.secrets == (ClientSecret(Digest(hashlib.sha256(SECRET.encode()).digest())),)
    assert not shop.public
    assert shop.pkce_required


def test_a_server_client_has_its_own_grant_and_no_scopes(small: Config) -> None:
    backend = small.clients()["backend"]
    assert backend.grant_types == {"client_credentials"}
    assert backend.scopes == frozenset()
    assert len(backend.secrets) == 2


def test_the_xsolla_profile_brings_its_defaults(small: Config) -> None:
    client = small.clients()["40"]
    assert client.profile == "xsolla"
    assert client.access_token_alg == "RS256"
    assert client.lifetimes == Lifetimes(access_token=3600)
    assert client.extra_scopes is None
    assert not client.pkce_required


def test_clients_that_name_no_algorithm_have_es256_access_tokens_or_rs256_where_there_are_no_keys(write: Write) -> None:
    assert load(write(SMALL)).clients()["shop"].access_token_alg == "ES256"
    fewer = load(write(SMALL + "[keys]\nalgorithms = ['RS256', 'EdDSA']\n")).clients()
    assert {client.access_token_alg for client in fewer.values()} == {"RS256"}


def test_the_key_rules_are_those_of_the_file(write: Write) -> None:
    assert load(write(SMALL)).keys.rules() == KeyRules(("ES256", "RS256"), 90 * 86400, 14 * 86400)
    text = SMALL + "[keys]\nalgorithms = ['RS256']\nrotation_period = 864000\nannouncement = 86400\n"
    assert load(write(text)).keys.rules() == KeyRules(("RS256",), 864000, 86400)


def test_lifetimes_come_from_the_client_then_the_server(write: Write) -> None:
    text = SMALL.replace('type = "server"', 'type = "server"\naccess_token_lifetime = 120\nrefresh_grace = 0')
    config = load(write(text + "[tokens]\naccess_token_lifetime = 600\nrefresh_idle = 86400\n"))
    assert config.clients()["backend"].lifetimes == Lifetimes(access_token=120, refresh_idle=86400, refresh_grace=0)
    assert config.clients()["shop"].lifetimes == Lifetimes(access_token=600, refresh_idle=86400)


def test_the_defaults_are_those_of_the_models(small: Config) -> None:
    assert small.clients()["shop"].lifetimes == Lifetimes()
    assert small.limits.quotas() == Quotas(
        client_logins=6000,
        player_logins=30,
        token_requests=600,
        address_failures=60,
        secret_failures=10,
        address_sign_ins=120,
        address_registrations=20,
        address_guests=60,
        link_code_failures=10,
    )


def test_a_client_that_says_nothing_of_browsers_has_the_defaults_of_the_models(small: Config) -> None:
    defaults = Client(client_id="", project=small.project_models()["skyforge"], name="")
    for client in small.clients().values():
        assert client.response_modes == defaults.response_modes == {"query", "form_post"}
        assert (client.links, client.logout) == (defaults.links, defaults.logout)
        assert (client.state_required, client.nonce_required) == (False, False)
        assert (client.userinfo_alg, client.profile_in_id_token) == (None, False)
    assert small.sessions.rules() == SessionRules()


def test_audiences_of_access_tokens_and_of_id_tokens_become_models_apart(write: Write) -> None:
    lists = f'grants = ["authorization_code", "{TOKEN_EXCHANGE}"]\n'
    lists += 'audiences = ["https://api.example", "chat"]\nid_token_audiences = ["https://mod.io"]\n'
    client = load(write(SMALL + BROWSER.replace("[sessions]", lists + "[sessions]"))).clients()["site"]
    assert client.audiences == {"https://api.example", "chat"}
    assert client.id_token_audiences == {"https://mod.io"}


def test_the_settings_for_browsers_become_models(write: Write) -> None:
    config = load(write(SMALL + BROWSER))
    client = config.clients()["site"]
    assert client.response_modes == {"fragment"}
    assert client.state_required
    assert client.nonce_required
    assert client.userinfo_alg == "ES256"
    assert client.profile_in_id_token
    assert client.links == ClientLinks(
        client_uri="https://site.example/",
        policy_uri="https://site.example/policy",
        tos_uri="https://site.example/terms",
        initiate_login_uri="https://site.example/login",
    )
    assert client.logout == LogoutRules(
        post_logout_redirect_uris=("https://site.example/bye",),
        backchannel_logout_uri="https://api.site.example/logout",
        backchannel_logout_session_required=True,
        frontchannel_logout_uri="https://site.example/frame",
        session_bound=True,
    )
    assert config.sessions.rules() == SessionRules(idle=600, absolute=1200, request=300)


@pytest.mark.parametrize(("name", "demanded"), [("state", (True, False)), ("nonce", (False, True))])
def test_state_and_nonce_are_demanded_apart(write: Write, name: str, demanded: tuple[bool, bool]) -> None:
    shop = "[projects.skyforge.clients.shop]"
    client = load(write(SMALL.replace(shop, f'{shop}\n{name} = "required"'))).clients()["shop"]
    assert (client.state_required, client.nonce_required) == demanded


@pytest.mark.parametrize("switch", ["backchannel_logout_session_required", "frontchannel_logout_session_required"])
def test_each_channel_of_a_logout_has_its_own_switch(write: Write, switch: str) -> None:
    text = SMALL.replace("[projects.skyforge.clients.shop]", f"[projects.skyforge.clients.shop]\n{switch} = true")
    rules = asdict(load(write(text)).clients()["shop"].logout)
    assert rules == asdict(LogoutRules()) | {switch: True}


def test_the_multiplier_reaches_every_limit(write: Write) -> None:
    config = load(write(SMALL + "[limits]\nmultiplier = 100\nsecret_failures_per_minute = 2\n"))
    assert config.limits.quotas() == Quotas(
        client_logins=600_000,
        player_logins=3000,
        token_requests=60_000,
        address_failures=6000,
        secret_failures=200,
        address_sign_ins=12_000,
        address_registrations=2000,
        address_guests=6000,
        link_code_failures=1000,
    )


def test_platform_blocks_are_read_by_the_platforms_own_settings(small: Config) -> None:
    steam = small.projects["skyforge"].platforms["steam"]
    assert isinstance(steam, SteamSettings)
    assert steam.app_ids == [480]
    assert list(small.projects["skyforge"].platforms) == ["steam"]


def test_every_platform_is_registered_under_its_own_name() -> None:
    assert list(PLATFORMS) == ["steam", "xbox", "epicgames", "guest"]
    assert [getattr(platform, "name", "") for platform in PLATFORMS.values()] == list(PLATFORMS)


def test_no_two_platforms_have_a_kind_of_identity_in_common() -> None:
    kinds = [kind for platform in PLATFORMS.values() for kind in platform.identity_kinds]
    assert len(kinds) == len(set(kinds))


def test_the_control_socket_stands_beside_the_database(write: Write, small: Config) -> None:
    assert small.control_socket == Path("var/authsrv.db.sock")
    assert load(write(SMALL + '[server]\ncontrol_socket = "/run/a.sock"')).control_socket == Path("/run/a.sock")


def test_four_slashes_are_an_absolute_database_path(write: Write) -> None:
    config = load(write(SMALL.replace("sqlite:///var/", "sqlite:////srv/")))
    assert config.database.sqlite_path == Path("/srv/authsrv.db")


def test_trusted_proxies_are_networks(write: Write) -> None:
    config = load(write(SMALL + '[server]\ntrusted_proxies = ["10.0.0.0/8", "fd00::1"]'))
    assert config.server.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("fd00::1/128"))


def test_a_sound_file_warns_of_nothing(write: Write) -> None:
    assert load(write(SMALL.partition("[projects.skyforge.clients.40]")[0])).warnings == ()


def test_H04_no_secret_is_printed(small: Config) -> None:
    printed = f"{small!r} {small} {small.model_dump()} {small.model_dump_json()} {small.clients()!r}"
    assert "canary" not in printed
    assert "0123456789abcdef" not in printed


def test_a_missing_file_is_one_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path / "none.toml")
    assert str(refused.value) == (
        "none.toml\n"
        "  problem: the file cannot be read: No such file or directory\n"
        "  remedy:  name another file, or start from authsrv.example.toml\n"
        "\n"
        "1 problem, no warnings"
    )


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        pytest.param(b"a = 1\nb = \n", 2, "this is not TOML: Invalid value", id="no value"),
        pytest.param(
            b"dev = true\n\ndev = false", 3, "this is not TOML: Cannot overwrite a value", id="H02 repeated key"
        ),
        pytest.param(b"[log]\n[log]\n", 2, "this is not TOML: Cannot declare ('log',) twice", id="H02 repeated table"),
        pytest.param(b"a = [1,\n", 2, "this is not TOML: Invalid value", id="end of file"),
        pytest.param(b"a = '\xff'", 0, "the file is not UTF-8", id="not UTF-8"),
        pytest.param(b"a = " + b"[" * 100_000, 0, "the file is nested too deeply", id="nested"),
    ],
)
def test_a_file_that_is_not_toml_is_reported_with_its_line(tmp_path: Path, text: bytes, line: int, what: str) -> None:
    path = tmp_path / "authsrv.toml"
    path.write_bytes(text)
    with pytest.raises(ConfigError) as refused:
        load(path)
    [problem] = refused.value.problems
    assert (problem.line, problem.what) == (line, what)
    assert problem.remedy


def test_the_json_schema_knows_every_block_and_both_forms_of_a_secret() -> None:
    schema = json_schema()
    assert schema["title"] == "authsrv.toml"
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == {"issuer", "database"}
    assert {"SteamSettings", "XboxSettings", "EpicSettings"} <= set(schema["$defs"])
    assert {"SessionSettings", "OutboundSettings", "LookSettings"} <= set(schema["$defs"])
    forms = schema["$defs"]["DatabaseSettings"]["properties"]["url"]["anyOf"]
    assert [list(form.get("properties", [])) for form in forms] == [["env"], ["file"], []]
    assert json.loads(json.dumps(schema)) == schema


def test_the_json_schema_lets_an_editor_offer_choices_and_check_ranges() -> None:
    blocks = json_schema()["$defs"]
    client, sessions = blocks["ClientSettings"]["properties"], blocks["SessionSettings"]["properties"]
    assert client["response_modes"]["items"]["enum"] == ["query", "fragment", "form_post"]
    assert client["state"]["enum"] == client["nonce"]["enum"] == ["optional", "required"]
    assert (sessions["sign_in"]["minimum"], sessions["sign_in"]["maximum"]) == (60, 86400)
    assert blocks["LookSettings"]["additionalProperties"] is False


def test_reading_the_configuration_loads_nothing_heavy() -> None:
    code = (
        "import sys, authsrv.config; print({'httpx', 'sqlalchemy', 'authlib', 'sqlite3', 'uvicorn'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
