"""The manifests of docs/deploy/kubernetes: each by its schema, and all of them together."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from authsrv import __version__
from authsrv.config.schema import MetricsSettings, ServerSettings
from tests.support.deployed import SECRETS, check, understood

PLACE = Path(__file__).parents[2] / "docs" / "deploy" / "kubernetes"
VERSIONS = ("1.30", "1.33", kubernetes_validate.latest_version())
Manifest = dict[str, Any]


def manifests() -> Iterator[tuple[str, Manifest]]:
    for file in sorted(PLACE.glob("*.yaml")):
        for number, manifest in enumerate(yaml.safe_load_all(file.read_text("utf-8"))):
            if manifest["kind"] != "Kustomization":
                yield f"{file.name}[{number}]", manifest


ALL = dict(manifests())
every_manifest = pytest.mark.parametrize("manifest", ALL.values(), ids=ALL)


def the(kind: str, name: str = "authsrv") -> Manifest:
    (found,) = [one for one in ALL.values() if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found


NODE: Manifest = the("Deployment")["spec"]["template"]
MIGRATION: Manifest = the("Job", f"authsrv-migrate-{__version__.replace('.', '-')}")["spec"]["template"]
PODS = [pytest.param(NODE, id="node"), pytest.param(MIGRATION, id="migration")]
every_pod = pytest.mark.parametrize("pod", PODS)
CONFIGURATION: str = the("ConfigMap")["data"]["authsrv.toml"]


def container(pod: Manifest) -> Manifest:
    (only,) = pod["spec"]["containers"]
    found: Manifest = only
    return found


def environment(pod: Manifest) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container(pod)["env"]}


def mounted(pod: Manifest) -> dict[str, str]:
    """Every file of a ConfigMap or a Secret in the container, by path: what is in it."""
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    return {
        f"{mount['mountPath']}/{path}": key
        for mount in container(pod)["volumeMounts"]
        for path, key in files(volumes[mount["name"]])
    }


def files(volume: Manifest) -> Iterator[tuple[str, str]]:
    if "configMap" in volume:
        yield from ((key, key) for key in the("ConfigMap", volume["configMap"]["name"])["data"])
    if "secret" in volume:
        yield from ((key, key) for key in the("Secret", volume["secret"]["secretName"])["stringData"])
    for source in volume.get("projected", {}).get("sources", ()):
        known = the("Secret", source["secret"]["name"])["stringData"]
        for item in source["secret"]["items"]:
            assert item["key"] in known
            yield item["path"], item["key"]


@pytest.mark.parametrize("version", VERSIONS)
@every_manifest
def test_the_schema_of_kubernetes_takes_it_to_the_letter(manifest: Manifest, version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_a_word_that_kubernetes_does_not_know_would_be_seen() -> None:
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(the("Service") | {"speck": {}}, VERSIONS[0], strict=True)


@every_manifest
def test_everything_is_in_one_namespace_and_has_the_name_of_the_program(manifest: Manifest) -> None:
    assert manifest["metadata"]["namespace"] == "authsrv"
    assert manifest["metadata"]["labels"]["app.kubernetes.io/name"] == "authsrv"


def test_the_kustomization_has_every_file_but_those_it_names() -> None:
    text = (PLACE / "kustomization.yaml").read_text("utf-8")
    kustomization = yaml.safe_load(text)
    apart = {"kustomization.yaml", "migrate.yaml", "secret.example.yaml", "autoscaler.yaml"}
    assert set(kustomization["resources"]) == {file.name for file in PLACE.glob("*.yaml")} - apart
    assert all(name in text.partition("apiVersion")[0] for name in apart - {"kustomization.yaml"})


@every_pod
def test_a_pod_may_nothing_that_it_does_not_need(pod: Manifest) -> None:
    spec, only = pod["spec"], container(pod)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(only["resources"]["limits"]) == {"cpu", "memory"}


@every_pod
def test_the_checker_has_nothing_to_say_about_the_configuration(pod: Manifest, tmp_path: Path) -> None:
    secrets = {path: key for path, key in mounted(pod).items() if path.startswith(SECRETS)}
    assert check(tmp_path, CONFIGURATION, environment(pod), secrets) == "no problems, no warnings\n"


@every_pod
def test_the_program_understands_what_the_pod_starts(pod: Manifest) -> None:
    understands = understood(container(pod)["args"])
    assert understands["command"] == {"node": "serve", "migration": "migrate"}[component(pod)]
    assert str(understands["config"]) in mounted(pod)


def component(pod: Manifest) -> str:
    found: str = pod["metadata"]["labels"]["app.kubernetes.io/component"]
    return found


@every_pod
def test_the_database_server_must_prove_who_it_is(pod: Manifest) -> None:
    url = environment(pod)["AUTHSRV_DATABASE_URL"]
    assert "sslmode=verify-full" in url
    assert url.rpartition("sslrootcert=")[2] in mounted(pod)


def test_nodes_and_migration_are_two_roles_with_two_passwords() -> None:
    users = [environment(pod)["AUTHSRV_DATABASE_URL"].partition("//")[2].partition("@")[0] for pod in (NODE, MIGRATION)]
    assert users == ["authsrv", "authsrv_owner"]
    sources = MIGRATION["spec"]["volumes"][1]["projected"]["sources"]
    passwords = [one["secret"]["name"] for one in sources if "database_password" in str(one)]
    assert passwords == ["authsrv-owner"]


def test_all_run_the_version_of_this_checkout() -> None:
    images = {container(pod)["image"] for pod in (NODE, MIGRATION)}
    assert images == {f"registry.studio.example/authsrv:{__version__}"}


def test_a_node_is_given_longer_to_stop_than_it_takes() -> None:
    server = ServerSettings.model_validate(tomllib.loads(CONFIGURATION)["server"])
    assert NODE["spec"]["terminationGracePeriodSeconds"] >= server.drain_seconds + server.graceful_seconds + 10


def test_a_rollout_never_takes_a_node_away_before_the_next_is_there() -> None:
    rolling = the("Deployment")["spec"]["strategy"]["rollingUpdate"]
    assert (rolling["maxUnavailable"], rolling["maxSurge"]) == (0, 1)
    assert the("PodDisruptionBudget")["spec"]["maxUnavailable"] < the("Deployment")["spec"]["replicas"]


def test_a_node_is_restarted_by_live_and_routed_by_ready() -> None:
    only = container(NODE)
    asked = {name: only[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    assert asked == {"startup": "/health/live", "liveness": "/health/live", "readiness": "/health/ready"}
    assert {only[f"{name}Probe"]["httpGet"]["port"] for name in asked} == {"http"}


def test_whatever_asks_a_node_knows_its_port_and_its_labels() -> None:
    ports = {port["name"]: port["containerPort"] for port in container(NODE)["ports"]}
    server = ServerSettings.model_validate(tomllib.loads(CONFIGURATION)["server"])
    assert ports["http"] == server.port
    assert {port["targetPort"] for port in the("Service")["spec"]["ports"]} <= set(ports)
    let_in = {port["port"] for rule in the("NetworkPolicy")["spec"]["ingress"] for port in rule["ports"]}
    assert let_in == set(ports)
    labels = NODE["metadata"]["labels"].items()
    selectors = [
        the("Service")["spec"]["selector"],
        the("Deployment")["spec"]["selector"]["matchLabels"],
        the("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        the("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *(spread["labelSelector"]["matchLabels"] for spread in NODE["spec"]["topologySpreadConstraints"]),
    ]
    assert all(selector.items() <= labels for selector in selectors)


def test_prometheus_finds_the_listener_of_the_metrics_and_nobody_else_is_let_in() -> None:
    metrics = MetricsSettings.model_validate(tomllib.loads(CONFIGURATION)["metrics"])
    ports = {port["name"]: port["containerPort"] for port in container(NODE)["ports"]}
    annotations = NODE["metadata"]["annotations"]
    assert metrics.enabled
    assert ports["metrics"] == metrics.port == int(annotations["prometheus.io/port"])
    assert annotations["prometheus.io/path"] == "/metrics"
    who = [rule["from"] for rule in the("NetworkPolicy")["spec"]["ingress"] if rule["ports"][0]["port"] == "metrics"]
    assert who == [[{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]]
    assert "metrics" not in {port["targetPort"] for port in the("Service")["spec"]["ports"]}


def test_what_the_configuration_writes_to_is_mounted() -> None:
    settings = tomllib.loads(CONFIGURATION)
    writable = {mount["mountPath"] for mount in container(NODE)["volumeMounts"] if not mount.get("readOnly")}
    control = str(Path(settings["server"]["control_socket"]).parent)
    assert writable == {settings["database"]["erasures"], control, "/tmp"}  # noqa: S108 - of the container
    assert the("PersistentVolumeClaim", "authsrv-erasures")["spec"]["accessModes"] == ["ReadWriteMany"]


def test_the_ingress_is_for_the_host_of_the_issuer_and_the_port_of_the_service() -> None:
    (rule,) = the("Ingress")["spec"]["rules"]
    assert tomllib.loads(CONFIGURATION)["issuer"] == f"https://{rule['host']}"
    assert the("Ingress")["spec"]["tls"][0]["hosts"] == [rule["host"]]
    (path,) = rule["http"]["paths"]
    assert path["backend"]["service"] == {
        "name": "authsrv",
        "port": {"name": the("Service")["spec"]["ports"][0]["name"]},
    }


def test_the_examples_hold_no_secret() -> None:
    secrets = [one for one in ALL.values() if one["kind"] == "Secret"]
    assert {value for secret in secrets for value in secret["stringData"].values()} == {""}
    assert not re.search(r"//[^@/\s]*:[^@/\s]*@", "".join(file.read_text("utf-8") for file in PLACE.iterdir()))
