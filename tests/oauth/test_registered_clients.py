"""Registered clients in memory: what stands when answers of the storage overtake each other, and what a reload does."""

from dataclasses import replace

from authsrv.config.registered_clients import client_of
from authsrv.models import Client, Lifetimes, Project, RegisteredClient, RegistrationPolicy
from authsrv.oauth.clients import ClientRegistry
from authsrv.oauth.registration.clients import RegisteredClients
from tests.support.oauth import LAUNCHER, PROJECT
from tests.support.storage import NOW

POLICY = RegistrationPolicy(
    project=PROJECT,
    mode="off",
    management=False,
    scopes=("openid",),
    initial_tokens={},
    most_clients=10,
    unused_seconds=60,
    pkce_required=True,
    lifetimes=Lifetimes(),
)
ROW = RegisteredClient(
    1,
    "c_1",
    "skyforge",
    '{"redirect_uris":["https://a.example/"],"client_name":"First","scope":"openid"}',
    None,
    None,
    "",
    0,
    100,
)
SECOND = replace(ROW, metadata=ROW.metadata.replace("First", "Second"), version=2)
THIRD = replace(ROW, metadata=ROW.metadata.replace("First", "Third"), version=3)


def known(*rows: RegisteredClient) -> RegisteredClients:
    clients = RegisteredClients(client_of)
    clients.load(rows)
    clients.configure({"skyforge": POLICY}, NOW)
    return clients


def names(clients: RegisteredClients) -> dict[str, str]:
    return {client_id: client.name for client_id, client in clients.clients.items()}


def test_nobody_is_known_before_the_settings_are() -> None:
    clients = RegisteredClients(client_of)
    clients.load([ROW])
    assert names(clients) == {}
    clients.configure({"skyforge": POLICY}, NOW)
    assert names(clients) == {"c_1": "First"}


def test_a_later_update_stands_whichever_answer_comes_first() -> None:
    clients = known(ROW)
    clients.update(THIRD)
    clients.update(SECOND)
    assert names(clients) == {"c_1": "Third"}


def test_an_update_whose_answer_comes_after_that_of_a_removal_brings_nothing_back() -> None:
    clients = known(ROW)
    clients.remove("c_1")
    clients.update(SECOND)
    assert names(clients) == {}
    assert clients.expired(1000) == ()
    clients.remove("c_1")


def test_a_use_that_was_noted_survives_an_update_that_did_not_know_of_it() -> None:
    clients = known(ROW)
    clients.used("c_1")
    clients.update(SECOND)
    assert clients.expired(1000) == ()
    assert names(clients) == {"c_1": "Second"}
    clients.used("c_2")


def test_Y17_a_client_is_over_after_its_last_second() -> None:
    clients = known(ROW)
    assert (clients.expired(100), clients.expired(101)) == ((), (ROW,))


def test_a_project_that_is_gone_takes_its_clients_with_it_and_brings_them_back() -> None:
    clients = known(ROW)
    mapping = clients.clients
    clients.configure({}, NOW)
    assert mapping == {}
    clients.add(replace(ROW, id=2, client_id="c_2"))
    assert mapping == {}
    clients.configure({"skyforge": replace(POLICY, project=Project("skyforge", PROJECT.id, "Renamed"))}, NOW)
    assert {client.project.name for client in mapping.values()} == {"Renamed"}
    assert mapping.keys() == {"c_1", "c_2"}


def test_the_registry_finds_them_beside_the_files_clients_through_a_reload() -> None:
    clients = known(ROW)
    registry = ClientRegistry([LAUNCHER], clients.clients)
    registry.replace([])
    assert (registry.get("c_1"), registry.get("launcher")) == (clients.clients["c_1"], None)
    registry.replace([LAUNCHER])
    clients.remove("c_1")
    assert (registry.find("c_1", "standard"), registry.get("launcher")) == (None, LAUNCHER)


def test_the_registry_prefers_the_files_client_of_the_same_id() -> None:
    own = Client("c_1", PROJECT, "Of the file")
    registry = ClientRegistry([own], known(ROW).clients)
    assert (registry.get("c_1"), registry.find("c_1", "standard")) == (own, own)


def test_who_is_shut_out_is_remembered_since_it_was_found_out_and_forgotten_once_let_in_again() -> None:
    clients = known(ROW)
    assert clients.shut_out == {}
    shut = {"skyforge": replace(POLICY, blocked=frozenset({"c_1"}))}
    clients.configure(shut, NOW + 1)
    clients.configure(shut, NOW + 9)
    assert (clients.clients, clients.shut_out) == ({}, {"c_1": NOW + 1})
    clients.configure({"skyforge": POLICY}, NOW + 10)
    assert clients.shut_out == {}
