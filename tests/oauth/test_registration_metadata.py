"""What of a registration's JSON object becomes metadata, and what the rules of the file's clients say to it."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsrv.client_metadata import ClientMetadata, from_json, to_json
from authsrv.config.registered_clients import client_of, faults
from authsrv.errors import AuthsrvError, InvalidClientMetadata, InvalidRedirectUri
from authsrv.models import Digest, Lifetimes, RegisteredClient, RegistrationPolicy
from authsrv.oauth.registration.metadata import read
from tests.support.oauth import PROJECT

CALLBACK = "https://page.example/callback"
POLICY = RegistrationPolicy(
    project=PROJECT,
    mode="token",
    management=True,
    scopes=("openid", "profile", "offline_access"),
    initial_tokens={},
    most_clients=10,
    unused_seconds=86400,
    pkce_required=True,
    lifetimes=Lifetimes(access_token=60),
)
PLAIN = ClientMetadata(redirect_uris=(CALLBACK,), scope="openid profile")
FULL: dict[str, Any] = {
    "redirect_uris": [CALLBACK, "https://page.example/other?tenant=1"],
    "token_endpoint_auth_method": "none",
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "application_type": "web",
    "subject_type": "public",
    "scope": "openid offline_access",
    "client_name": "Amber's page",
    "client_uri": "https://page.example/",
    "logo_uri": "https://page.example/logo.png",
    "policy_uri": "https://page.example/privacy#cookies",
    "tos_uri": "https://page.example/terms",
    "contacts": ["amber@page.example"],
    "initiate_login_uri": "https://page.example/login",
    "post_logout_redirect_uris": ["https://page.example/signed-out"],
    "backchannel_logout_uri": "https://page.example/logout",
    "backchannel_logout_session_required": True,
    "frontchannel_logout_uri": "https://page.example/logout-frame",
    "frontchannel_logout_session_required": True,
    "id_token_signed_response_alg": "ES256",
    "userinfo_signed_response_alg": "RS256",
    "default_max_age": 0,
    "require_auth_time": True,
    "software_id": "4NRB1-0XZABZI9E6-5SM3R",
    "software_version": "2.1",
}


def of(**changes: Any) -> ClientMetadata:
    """What is read of a registration with one redirect URI and these members."""
    return read({"redirect_uris": [CALLBACK], **changes}, POLICY)


def found_at(metadata: ClientMetadata, policy: RegistrationPolicy = POLICY) -> list[str]:
    """The members at which the rules of the file's clients find something."""
    return [fault.member for fault in faults(metadata, policy)]


# --- reading ---


def test_Y1_everything_that_is_honoured_is_read_and_told_as_it_was_sent() -> None:
    metadata = read(FULL, POLICY)
    assert metadata.members() == FULL
    assert found_at(metadata) == []


def test_what_was_stored_comes_back_whatever_a_later_version_added() -> None:
    metadata = read(FULL, POLICY)
    assert from_json(to_json(metadata)) == metadata
    assert from_json('{"redirect_uris":["https://page.example/callback"],"scope":"openid profile","later":1}') == PLAIN


def test_RFC7591_2_unknown_members_null_and_nothing_are_as_if_they_were_not_sent() -> None:
    nothing = dict.fromkeys((*FULL.keys() - {"redirect_uris"}, "jwks_uri", "x"))
    empty = {name: "" for name, value in FULL.items() if isinstance(value, str)}
    empty_lists: dict[str, Any] = {
        name: [] for name, value in FULL.items() if isinstance(value, list) and name != "redirect_uris"
    }
    unknown = {"jwks_uri": "https://page.example/keys", "request_uris": [1], "client_name#de": "Ambers Seite"}
    assert [of(**sent) for sent in ({}, nothing, empty, empty_lists, unknown)] == [PLAIN] * 5


@pytest.mark.parametrize(
    ("sent", "read_as"),
    [
        pytest.param("  Amber's\n\t page ", "Amber's page", id="white space"),
        pytest.param("Amber\u202e\u2066\u200b\x07's page", "Amber's page", id="invisible characters"),
        pytest.param("x" * 101, "x" * 100, id="101 characters"),
        pytest.param("Cafe\u0301", "Caf\u00e9", id="composed"),
        pytest.param("\u200b", "", id="nothing to see"),
    ],
)
def test_a_name_is_made_harmless(sent: str, read_as: str) -> None:
    assert of(client_name=sent).client_name == read_as


@pytest.mark.parametrize(
    ("sent", "read_as"),
    [
        pytest.param({}, "openid profile", id="nothing, no refresh"),
        pytest.param(
            {"grant_types": ["authorization_code", "refresh_token"]}, "openid profile offline_access", id="all"
        ),
        pytest.param({"scope": "profile openid"}, "profile openid", id="order"),
        pytest.param({"scope": " openid  openid "}, "openid", id="repeated"),
        pytest.param({"scope": "openid email admin"}, "openid", id="not offered"),
        pytest.param({"scope": "openid offline"}, "openid", id="offline, no refresh"),
        pytest.param(
            {"scope": "openid offline", "grant_types": ["refresh_token", "authorization_code"]},
            "openid offline",
            id="the other name of offline_access",
        ),
    ],
)
def test_scopes_are_those_that_the_project_offers(sent: dict[str, Any], read_as: str) -> None:
    assert of(**sent).scope == read_as


@pytest.mark.parametrize(
    ("sent", "read_as"),
    [
        pytest.param(["refresh_token", "authorization_code"], ("authorization_code", "refresh_token"), id="order"),
        pytest.param(
            ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code", "client_credentials", "implicit"],
            ("authorization_code",),
            id="not offered",
        ),
    ],
)
def test_RFC7591_2_grant_types_that_are_not_offered_are_left_out(sent: list[str], read_as: tuple[str, ...]) -> None:
    assert of(grant_types=sent).grant_types == read_as
    assert of(response_types=["code", "code id_token"]).response_types == ("code",)


@pytest.mark.parametrize(
    ("uris", "sent", "read_as"),
    [
        pytest.param([CALLBACK], None, "web", id="https"),
        pytest.param(["http://127.0.0.1:33418/", "https://editor.example/redirect"], None, "native", id="loopback"),
        pytest.param(["com.example.page:/callback"], None, "native", id="private scheme"),
        pytest.param([CALLBACK], "native", "native", id="claimed https"),
    ],
)
def test_RFC8252_a_client_that_does_not_say_so_is_native_by_its_addresses(
    uris: list[str], sent: str | None, read_as: str
) -> None:
    metadata = read({"redirect_uris": uris, "application_type": sent}, POLICY)
    assert metadata.application_type == read_as
    assert found_at(metadata) == []


@pytest.mark.parametrize(
    ("sent", "member"),
    [
        pytest.param({"token_endpoint_auth_method": "private_key_jwt"}, "token_endpoint_auth_method", id="method"),
        pytest.param({"token_endpoint_auth_method": 5}, "token_endpoint_auth_method", id="method, number"),
        pytest.param({"grant_types": ["refresh_token"]}, "grant_types", id="grants without codes"),
        pytest.param({"grant_types": ["client_credentials"]}, "grant_types", id="client_credentials"),
        pytest.param({"grant_types": "authorization_code"}, "grant_types", id="grants, text"),
        pytest.param({"response_types": ["id_token"]}, "response_types", id="response types"),
        pytest.param({"subject_type": "pairwise"}, "subject_type", id="pairwise"),
        pytest.param({"application_type": "browser"}, "application_type", id="application type"),
        pytest.param({"scope": "email"}, "scope", id="no scope that is offered"),
        pytest.param({"scope": "offline_access"}, "scope", id="refresh alone, without the grant"),
        pytest.param({"scope": ["openid"]}, "scope", id="scope, list"),
        pytest.param({"client_name": {"de": "Seite"}}, "client_name", id="name, object"),
        pytest.param({"client_uri": 5}, "client_uri", id="address, number"),
        pytest.param({"client_uri": "https://page.example/\n"}, "client_uri", id="address, line feed"),
        pytest.param({"software_id": "a\u0085b"}, "software_id", id="software, control character"),
        pytest.param({"software_version": "1" * 2049}, "software_version", id="software, long"),
        pytest.param({"contacts": "amber@page.example"}, "contacts", id="contacts, text"),
        pytest.param({"contacts": ["a"] * 51}, "contacts", id="contacts, many"),
        pytest.param({"contacts": [None]}, "contacts", id="contacts, null"),
        pytest.param({"require_auth_time": "true"}, "require_auth_time", id="flag, text"),
        pytest.param({"require_auth_time": 1}, "require_auth_time", id="flag, number"),
        pytest.param({"default_max_age": -1}, "default_max_age", id="age, negative"),
        pytest.param({"default_max_age": True}, "default_max_age", id="age, flag"),
        pytest.param({"default_max_age": 1.5}, "default_max_age", id="age, part of a second"),
        pytest.param({"default_max_age": 366 * 86400 + 1}, "default_max_age", id="age, over a year"),
        pytest.param({"id_token_signed_response_alg": "none"}, "id_token_signed_response_alg", id="Y4 none"),
        pytest.param({"userinfo_signed_response_alg": "HS256"}, "userinfo_signed_response_alg", id="Y4 HS256"),
    ],
)
def test_RFC7591_3_2_2_a_value_that_is_not_offered_is_refused_by_its_name(sent: dict[str, Any], member: str) -> None:
    with pytest.raises(InvalidClientMetadata) as caught:
        of(**sent)
    assert (caught.value.error, caught.value.parameter) == ("invalid_client_metadata", member)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"redirect_uris": []}, id="empty list"),
        pytest.param({"redirect_uris": CALLBACK}, id="text"),
        pytest.param({"redirect_uris": [5]}, id="number"),
        pytest.param({"redirect_uris": [CALLBACK] * 51}, id="many"),
        pytest.param({"redirect_uris": ["http://127.0.0.1:8000/"], "application_type": "web"}, id="loopback of a web"),
        pytest.param({"redirect_uris": ["http://[::1]/"], "application_type": "web"}, id="IPv6 loopback of a web"),
    ],
)
def test_RFC7591_3_2_2_redirect_uris_have_an_error_of_their_own(sent: dict[str, Any]) -> None:
    with pytest.raises(InvalidRedirectUri) as caught:
        read(sent, POLICY)
    assert (caught.value.error, caught.value.parameter) == ("invalid_redirect_uri", "redirect_uris")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(FULL)) | st.text(max_size=8), JSON, max_size=8))
def test_whatever_is_sent_is_metadata_or_a_refusal_that_repeats_nothing(sent: dict[str, Any]) -> None:
    try:
        metadata = read({"redirect_uris": [CALLBACK], **sent}, POLICY)
        refusals = [fault.what for fault in faults(metadata, POLICY)]
    except AuthsrvError as error:
        refusals = [error.description]
    assert all(text.isascii() and text.isprintable() and not set('"\\') & set(text) for text in refusals)


# --- the rules of the file's clients ---


@pytest.mark.parametrize(
    ("member", "value"),
    [
        pytest.param("redirect_uris", "http://page.example/callback", id="G9 http"),
        pytest.param("redirect_uris", "https://page.example/*", id="wildcard"),
        pytest.param("redirect_uris", "https://page.example/callback#part", id="Y8 fragment"),
        pytest.param("redirect_uris", "https://amber@page.example/", id="user name"),
        pytest.param("redirect_uris", "https://page.example/a/../b", id="dot segment"),
        pytest.param("redirect_uris", "https://page.example/?code=1", id="A10 parameter of an answer"),
        pytest.param("redirect_uris", " https://page.example/callback", id="space before"),
        pytest.param("redirect_uris", "javascript:alert(1)", id="script"),
        pytest.param("redirect_uris", "page:/callback", id="scheme without a dot"),
        pytest.param("redirect_uris", "http://localhost:3000/callback", id="localhost"),
        pytest.param("redirect_uris", "", id="empty"),
        pytest.param("client_uri", "http://page.example/", id="client_uri, http"),
        pytest.param("policy_uri", "javascript:alert(1)", id="policy_uri, script"),
        pytest.param("tos_uri", "//page.example/terms", id="tos_uri, no scheme"),
        pytest.param("logo_uri", "http://page.example/logo.png", id="logo_uri, http"),
        pytest.param("logo_uri", "data:image/png;base64,AAAA", id="logo_uri, data"),
        pytest.param("initiate_login_uri", "http://127.0.0.1/login", id="T3 loopback"),
        pytest.param("initiate_login_uri", "https://page.example/login#part", id="T3 fragment"),
        pytest.param("post_logout_redirect_uris", "http://page.example/", id="A37 http"),
        pytest.param("backchannel_logout_uri", "http://page.example/logout", id="G14 http"),
        pytest.param("backchannel_logout_uri", "https://10.0.0.7/logout", id="G14 own network"),
        pytest.param("backchannel_logout_uri", "https://localhost/logout", id="G14 own machine"),
        pytest.param("frontchannel_logout_uri", "https://other.example/logout", id="H3 other host"),
        pytest.param("frontchannel_logout_uri", "http://page.example/logout", id="H3 http"),
    ],
)
def test_an_address_obeys_the_rules_of_the_file(member: str, value: str) -> None:
    sent: Any = [value] if member.endswith("uris") else value
    metadata = read({"redirect_uris": [CALLBACK]} | {member: sent}, POLICY)
    assert set(found_at(metadata)) == {member}


def test_an_address_that_stands_twice_is_refused() -> None:
    assert found_at(read({"redirect_uris": [CALLBACK, CALLBACK]}, POLICY)) == ["redirect_uris"]


@pytest.mark.parametrize(
    ("member", "value", "policy"),
    [
        pytest.param("initiate_login_uri", "http://127.0.0.1/login", replace(POLICY, dev=True), id="loopback"),
        pytest.param(
            "backchannel_logout_uri",
            "https://10.0.0.7:8443/logout",
            replace(POLICY, callable_hosts=("10.0.0.7:8443",)),
            id="listed host",
        ),
    ],
)
def test_what_the_configuration_allows_besides_holds_for_registered_clients_too(
    member: str, value: str, policy: RegistrationPolicy
) -> None:
    metadata = of(**{member: value})
    assert (found_at(metadata), found_at(metadata, policy)) == ([member], [])


# --- the client ---

SECRET = Digest(hashlib.sha256(b"secret").digest())


def row(
    metadata: ClientMetadata, *, secret: Digest | None = SECRET, registered_with: str = "partner"
) -> RegisteredClient:
    return RegisteredClient(1, "c_1", "skyforge", to_json(metadata), secret, None, registered_with, 0, None)


def test_the_client_has_what_was_registered_and_nothing_of_the_studios_own() -> None:
    client = client_of(row(read(FULL, POLICY), secret=None), POLICY)
    assert (client.client_id, client.name, client.project, client.secrets) == ("c_1", "Amber's page", PROJECT, ())
    assert client.redirect_uris == (CALLBACK, "https://page.example/other?tenant=1")
    assert client.grant_types == {"authorization_code", "refresh_token"}
    assert client.scopes == {"openid", "offline_access"}
    assert (client.id_token_alg, client.userinfo_alg, client.default_max_age) == ("ES256", "RS256", 0)
    assert (client.first_party, client.registered, client.native, client.profile) == (False, True, False, "standard")
    assert (client.pkce_required, client.auth_method, client.lifetimes) == (True, "none", POLICY.lifetimes)
    assert (client.links.policy_uri, client.links.tos_uri) == (FULL["policy_uri"], FULL["tos_uri"])
    assert client.logout.post_logout_redirect_uris == ("https://page.example/signed-out",)
    assert client.logout.backchannel_logout_uri == "https://page.example/logout"
    assert client.logout.frontchannel_logout_uri == "https://page.example/logout-frame"


def test_a_client_may_choose_among_the_algorithms_of_the_server_and_no_others() -> None:
    every = replace(POLICY, algorithms=("RS256", "PS256", "EdDSA"))
    chosen = {"id_token_signed_response_alg": "EdDSA", "userinfo_signed_response_alg": "PS256"}
    found = read({"redirect_uris": [CALLBACK], **chosen}, every)
    assert (found.id_token_signed_response_alg, found.userinfo_signed_response_alg) == ("EdDSA", "PS256")
    for name in chosen:
        with pytest.raises(InvalidClientMetadata) as refused:
            read({"redirect_uris": [CALLBACK], name: "ES256"}, every)
        assert refused.value.description == f"{name} is one of: RS256, PS256, EdDSA."


def test_a_client_whose_algorithm_the_server_has_given_up_gets_rs256() -> None:
    fewer = replace(POLICY, algorithms=("RS256",))
    client = client_of(row(read(FULL, POLICY)), fewer)
    assert (client.access_token_alg, client.id_token_alg, client.userinfo_alg) == ("RS256", "RS256", "RS256")
    assert client_of(row(PLAIN), fewer).userinfo_alg is None


def test_a_client_without_a_name_is_called_by_its_id() -> None:
    assert client_of(row(PLAIN), POLICY).name == "c_1"


@pytest.mark.parametrize(
    ("secret", "required", "expected"),
    [
        pytest.param(SECRET, True, True, id="required"),
        pytest.param(SECRET, False, False, id="optional"),
        pytest.param(None, False, True, id="optional, public"),
    ],
)
def test_PKCE_is_optional_with_a_secret_only(secret: Digest | None, required: bool, expected: bool) -> None:
    assert client_of(row(PLAIN, secret=secret), replace(POLICY, pkce_required=required)).pkce_required is expected


def test_a_scope_that_the_project_offers_no_more_is_lost() -> None:
    assert client_of(row(PLAIN), replace(POLICY, scopes=("profile", "email"))).scopes == {"profile"}


@pytest.mark.parametrize(("registered_with", "shown"), [pytest.param("partner", True, id="token"), ("", False)])
def test_T4_only_clients_that_the_studio_let_in_can_be_opened_from_its_pages(registered_with: str, shown: bool) -> None:
    metadata = of(initiate_login_uri="https://page.example/login")
    links = client_of(row(metadata, registered_with=registered_with), POLICY).links
    assert bool(links.initiate_login_uri) is shown
