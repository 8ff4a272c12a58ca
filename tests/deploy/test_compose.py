"""The Compose file of docs/deploy/compose: only what Compose knows, and nothing that leads nowhere.

No schema of Compose can be installed, so the words that its reference documents stand here.
"""

import re
import tomllib
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from authsrv import __version__
from authsrv.config.schema import ServerSettings
from authsrv.database_url import crosses_network
from tests.support.deployed import SECRETS, check, understood
from tests.support.dockerfile import instructions
from tests.support.proxies import DEPLOY, NODES

PLACE = DEPLOY / "compose"
COMPOSE: dict[str, Any] = yaml.safe_load((PLACE / "compose.yaml").read_text("utf-8"))
CONFIGURATION = (PLACE / "authsrv.toml").read_text("utf-8")
SETTINGS = tomllib.loads(CONFIGURATION)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SERVING = ("authsrv-1", "authsrv-2", "authsrv-3")
OURS = (*SERVING, "migrate")


def words(text: str) -> set[str]:
    return set(text.split())


SERVICE = words(
    "annotations attach blkio_config build cap_add cap_drop cgroup cgroup_parent command configs container_name "
    "cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpus cpuset credential_spec "
    "depends_on deploy develop device_cgroup_rules devices dns dns_opt dns_search domainname entrypoint env_file "
    "environment expose extends external_links extra_hosts gpus group_add healthcheck hostname image init ipc "
    "isolation labels label_file links logging mac_address mem_limit mem_reservation mem_swappiness memswap_limit "
    "models network_mode networks oom_kill_disable oom_score_adj pid pids_limit platform ports post_start pre_stop "
    "privileged profiles provider pull_policy read_only restart runtime scale secrets security_opt shm_size stdin_open "
    "stop_grace_period stop_signal storage_opt sysctls tmpfs tty ulimits use_api_socket user userns_mode uts volumes "
    "volumes_from working_dir"
)
WORDS: dict[tuple[str, ...], set[str]] = {
    (): {"name", "services", "networks", "volumes", "secrets", "configs", "include", "models"},
    ("services", "*"): SERVICE,
    ("services", "*", "build"): {"context", "dockerfile", "args", "target", "platforms", "secrets"},
    ("services", "*", "healthcheck"): words("disable test interval timeout retries start_period start_interval"),
    ("services", "*", "depends_on", "*"): {"condition", "restart", "required"},
    ("services", "*", "deploy"): words("endpoint_mode labels mode placement replicas resources restart_policy"),
    ("services", "*", "deploy", "resources"): {"limits", "reservations"},
    ("services", "*", "deploy", "resources", "limits"): {"cpus", "memory", "pids"},
    ("services", "*", "logging"): {"driver", "options"},
    ("services", "*", "networks", "*"): {"aliases", "ipv4_address", "ipv6_address", "priority"},
    ("services", "*", "secrets", "*"): {"source", "target", "uid", "gid", "mode"},
    ("networks", "*"): {"driver", "driver_opts", "internal", "ipam", "name", "external", "labels", "attachable"},
    ("networks", "*", "ipam"): {"driver", "config", "options"},
    ("networks", "*", "ipam", "config", "*"): {"subnet", "ip_range", "gateway", "aux_addresses"},
    ("volumes", "*"): {"driver", "driver_opts", "external", "labels", "name"},
    ("secrets", "*"): {"file", "environment", "external", "name"},
}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}
RESTARTS = {"no", "always", "on-failure", "unless-stopped"}
DURATION = re.compile(r"(?:\d+(?:us|ms|s|m|h))+")
SIZE = re.compile(r"\d+[bkmgBKMG]?")

every_service = pytest.mark.parametrize("name", SERVICES)


def unknown(value: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Words where Compose knows others. Extensions may have any name, and nothing in them is looked at."""
    inside = value.items() if isinstance(value, dict) else [("*", item) for item in value or ()]
    known = WORDS.get(path)
    for word, below in inside:
        if known is not None and word not in known and not word.startswith("x-"):
            yield ".".join((*path, word))
        step = word if known is not None else "*"
        if isinstance(below, dict | list) and any(place[: len(path) + 1] == (*path, step) for place in WORDS):
            yield from unknown(below, (*path, step))


def given(name: str) -> dict[str, str]:
    """The secrets of a service by the name of their file below /run/secrets, and which they are."""
    listed = SERVICES[name].get("secrets", ())
    long = [{"source": one, "target": one} if isinstance(one, str) else one for one in listed]
    return {one["target"]: one["source"] for one in long}


def mounts(name: str) -> dict[str, str]:
    """Where something is mounted, and what. What has no name is the container's own and goes with it."""
    named = (text.split(":") for text in SERVICES[name].get("volumes", ()) if ":" in text)
    return {target: source for source, target, *_ in named}


def seconds(text: str) -> int:
    assert DURATION.fullmatch(text)
    return sum(int(count) * {"s": 1, "m": 60, "h": 3600}[unit] for count, unit in re.findall(r"(\d+)([smh])", text))


def test_every_word_is_one_that_compose_knows() -> None:
    assert list(unknown(COMPOSE)) == []


def test_a_word_that_compose_does_not_know_would_be_seen() -> None:
    broken = {"services": {"a": {"imagine": "x", "healthcheck": {"tests": []}}}, "network": {}}
    assert set(unknown(broken)) == {"services.*.imagine", "services.*.healthcheck.tests", "network"}


@every_service
def test_every_time_and_size_can_be_read(name: str) -> None:
    service = SERVICES[name]
    times = [service.get("stop_grace_period", "1s")]
    times += [service.get("healthcheck", {}).get(key, "1s") for key in ("interval", "timeout", "start_period")]
    assert all(DURATION.fullmatch(text) for text in times)
    sizes = [service["deploy"]["resources"]["limits"]["memory"], service.get("shm_size", "1m")]
    assert all(SIZE.fullmatch(text) for text in sizes)
    assert service["restart"] in RESTARTS


@every_service
def test_whatever_a_service_names_is_there(name: str) -> None:
    service = SERVICES[name]
    assert set(service.get("depends_on", ())) <= set(SERVICES)
    assert {one["condition"] for one in service.get("depends_on", {}).values()} <= CONDITIONS
    assert set(service.get("networks", ())) <= set(COMPOSE["networks"])
    assert set(given(name).values()) <= set(COMPOSE["secrets"])
    for source in mounts(name).values():
        assert (PLACE / source).resolve().is_file() if source.startswith(".") else source in COMPOSE["volumes"]


def test_nothing_is_declared_that_nobody_uses() -> None:
    assert {secret for name in SERVICES for secret in given(name).values()} == set(COMPOSE["secrets"])
    named = {source for name in SERVICES for source in mounts(name).values() if not source.startswith(".")}
    assert named == set(COMPOSE["volumes"])


@every_service
def test_no_service_may_anything_that_it_does_not_need(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & set(service)
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert service.get("user", "unprivileged" in service["image"])


@every_service
def test_no_secret_stands_in_the_file_or_in_an_environment(name: str) -> None:
    assert not re.search(r"//[^@/\s]*:[^@/\s]*@", str(SERVICES[name]))
    secret = [key for key in SERVICES[name].get("environment", ()) if re.search("PASSWORD|SECRET|KEY|TOKEN", key)]
    assert all(key.endswith("_FILE") for key in secret)
    assert all(set(secret) == {"file"} for secret in COMPOSE["secrets"].values())


@pytest.mark.parametrize("name", OURS)
def test_the_checker_has_nothing_to_say_about_the_configuration(name: str, tmp_path: Path) -> None:
    secrets = {f"{SECRETS}/{file}": secret for file, secret in given(name).items()}
    environment = SERVICES[name]["environment"]
    assert check(tmp_path, CONFIGURATION, environment, secrets) == "no problems, no warnings\n"


@pytest.mark.parametrize("name", OURS)
def test_the_program_understands_what_the_container_starts(name: str) -> None:
    understands = understood(SERVICES[name]["command"])
    assert understands["command"] == ("migrate" if name == "migrate" else "serve")
    assert str(understands["config"]) in mounts(name)


def test_all_run_the_version_of_this_checkout_as_the_user_of_the_image() -> None:
    dockerfile = (DEPLOY.parents[1] / "Dockerfile").read_text("utf-8")
    (user,) = [one.text for one in instructions(dockerfile) if one.name == "USER"]
    for name in OURS:
        assert SERVICES[name]["image"] == f"authsrv:{__version__}"
        assert SERVICES[name]["user"] == user
        assert (PLACE / SERVICES[name]["build"]["context"] / "Dockerfile").is_file()


def test_the_three_nodes_differ_in_their_address_alone() -> None:
    assert len({str({**SERVICES[name], "networks": None}) for name in SERVING}) == 1


def test_nodes_begin_after_the_migration_and_the_proxy_after_the_nodes() -> None:
    for name in SERVING:
        waits = {other: one["condition"] for other, one in SERVICES[name]["depends_on"].items()}
        assert waits == {"database": "service_healthy", "migrate": "service_completed_successfully"}
    assert {one["condition"] for one in SERVICES["proxy"]["depends_on"].values()} == {"service_healthy"}
    assert set(SERVICES["proxy"]["depends_on"]) == set(SERVING)
    assert SERVICES["migrate"]["restart"] == "no"


def test_a_node_is_given_longer_to_stop_than_it_takes() -> None:
    server = ServerSettings.model_validate(SETTINGS["server"])
    for name in (*SERVING, "proxy"):
        assert seconds(SERVICES[name]["stop_grace_period"]) >= server.drain_seconds + server.graceful_seconds + 10


def test_the_proxy_is_the_one_that_is_trusted_and_knows_the_nodes() -> None:
    addresses = {name: SERVICES[name]["networks"]["edge"]["ipv4_address"] for name in (*SERVING, "proxy")}
    assert SETTINGS["server"]["trusted_proxies"] == [addresses["proxy"]]
    port = ServerSettings.model_validate(SETTINGS["server"]).port
    assert tuple(f"{addresses[name]}:{port}" for name in SERVING) == NODES
    network = ip_network(COMPOSE["networks"]["edge"]["ipam"]["config"][0]["subnet"])
    assert all(ip_address(address) in network for address in addresses.values())
    assert mounts("proxy") == {"/etc/nginx/conf.d/default.conf": "../nginx/authsrv.conf"}
    published = re.findall(r"/run/secrets/(\w+)", (DEPLOY / "nginx" / "authsrv.conf").read_text("utf-8"))
    assert set(published) == set(given("proxy"))


def test_the_database_has_no_network_and_every_node_its_socket() -> None:
    assert SERVICES["database"]["network_mode"] == "none"
    assert "listen_addresses=" in SERVICES["database"]["command"]
    socket = mounts("database")["/var/run/postgresql"]
    for name in OURS:
        assert mounts(name)["/run/postgresql"] == socket
        url = SERVICES[name]["environment"]["AUTHSRV_DATABASE_URL"]
        assert url.endswith("?host=/run/postgresql")
        assert not crosses_network(url)


def test_nodes_and_migration_are_two_roles_with_two_passwords() -> None:
    assert {given(name)["database_password"] for name in SERVING} == {"database_password"}
    assert given("migrate")["database_password"] == "database_owner_password"
    users = {SERVICES[name]["environment"]["AUTHSRV_DATABASE_URL"].split("@")[0] for name in SERVING}
    assert users == {"postgresql://authsrv"}
    assert SERVICES["migrate"]["environment"]["AUTHSRV_DATABASE_URL"].startswith("postgresql://authsrv_owner@")


def test_the_ledger_of_erasures_is_one_for_all_nodes_and_not_where_the_database_is() -> None:
    ledger = Path(SETTINGS["database"]["erasures"])
    volumes = {source for name in SERVING for place, source in mounts(name).items() if ledger.is_relative_to(place)}
    assert len(volumes) == 1
    assert volumes.isdisjoint(mounts("database").values())


def test_a_node_can_write_where_it_must() -> None:
    control = str(Path(SETTINGS["server"]["control_socket"]).parent)
    assert all(SERVICES[name]["tmpfs"][0].startswith(f"{control}:uid=10001,mode=0700") for name in SERVING)
    assert all("/tmp" in SERVICES[name]["volumes"] for name in SERVING)  # noqa: S108 - of the container
