"""What a client registered, put through the checks of the file's clients, and the client model made from it.

Owns which setting each member of the metadata stands for. Knows no request, and no client but the one it is given.
"""

from collections.abc import Iterator
from dataclasses import replace

from authsrv.client_metadata import ClientMetadata, MetadataFault, from_json
from authsrv.config.browser_checks import BROWSER_CHECKS
from authsrv.config.client_checks import CLIENT_CHECKS, ClientEntry
from authsrv.config.clients import ClientSettings, TokenSettings, with_keys
from authsrv.config.outbound_checks import call_problem
from authsrv.config.problems import Finding
from authsrv.config.web_addresses import page_problem
from authsrv.models import Client, ClientSecret, RegisteredClient, RegistrationPolicy

_STAND_IN = "registered"
"""For the check of ids: those of registered clients are ours."""
_MEMBER_OF = {"grants": "grant_types", "scopes": "scope"}
"""Where a setting has another name than the member of the metadata."""


def faults(metadata: ClientMetadata, policy: RegistrationPolicy) -> Iterator[MetadataFault]:
    """Everything that the metadata may not have, by the rules that hold for clients in the file."""
    entry = ClientEntry(_STAND_IN, _settings(metadata), TokenSettings(), policy.dev)
    for _, check in (*CLIENT_CHECKS, *BROWSER_CHECKS):
        yield from (_fault(finding) for finding in check(entry))
    yield from (_fault(finding) for finding in _own_problems(metadata, policy))


def client_of(row: RegisteredClient, policy: RegistrationPolicy) -> Client:
    """The client as the rest of the server knows it: of somebody else, and with what the project still allows."""
    metadata = from_json(row.metadata)
    client = with_keys(_settings(metadata).model(row.client_id, policy.project, TokenSettings()), policy.algorithms)
    return replace(
        client,
        secrets=() if row.secret_hash is None else (ClientSecret(row.secret_hash),),
        scopes=client.scopes & frozenset(policy.scopes),
        pkce_required=policy.pkce_required or row.secret_hash is None,
        lifetimes=policy.lifetimes,
        # Pages of the studio lead to nobody whom the studio has not let in.
        links=client.links if row.registered_with else replace(client.links, initiate_login_uri=""),
        auth_method=metadata.token_endpoint_auth_method,
        registered=True,
    )


def _settings(metadata: ClientMetadata) -> ClientSettings:
    """The block that a file would have for it. Nothing is read a second time, so that no value changes on its way."""
    return ClientSettings.model_construct(
        name=metadata.client_name,
        redirect_uris=metadata.redirect_uris,
        grants=metadata.grant_types,
        scopes=tuple(metadata.scope.split()),
        native=metadata.application_type == "native",
        first_party=False,
        id_token_alg=metadata.id_token_signed_response_alg,
        userinfo_alg=metadata.userinfo_signed_response_alg,
        default_max_age=metadata.default_max_age,
        client_uri=metadata.client_uri,
        policy_uri=metadata.policy_uri,
        tos_uri=metadata.tos_uri,
        initiate_login_uri=metadata.initiate_login_uri,
        post_logout_redirect_uris=metadata.post_logout_redirect_uris,
        backchannel_logout_uri=metadata.backchannel_logout_uri,
        backchannel_logout_session_required=metadata.backchannel_logout_session_required,
        frontchannel_logout_uri=metadata.frontchannel_logout_uri,
        frontchannel_logout_session_required=metadata.frontchannel_logout_session_required,
    )


def _own_problems(metadata: ClientMetadata, policy: RegistrationPolicy) -> Iterator[Finding]:
    """What no other client of the file has, or what depends on more than its block."""
    logo = page_problem(metadata.logo_uri, dev=policy.dev) if metadata.logo_uri else None
    if logo:
        yield logo.below(("logo_uri",))
    url = metadata.backchannel_logout_uri
    call = call_problem(url, policy.callable_hosts, dev=policy.dev) if url else None
    if call:
        yield call.below(("backchannel_logout_uri",))


def _fault(finding: Finding) -> MetadataFault:
    """The remedies are written for the file, whose author the client is not."""
    setting = str(finding.path[0]) if finding.path else ""
    return MetadataFault(_MEMBER_OF.get(setting, setting), finding.what)
