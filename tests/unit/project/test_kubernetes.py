"""The Kubernetes manifests fit each other, the image and the program."""

import re
from typing import Any

import pytest
import yaml

from ackfirst.ingest.limits import IngestLimits
from ackfirst.ingest.snapshot import SnapshotCollector
from ackfirst.ops.cli import main
from ackfirst.shared.queue.snapshot import LaneDepth, QueueSnapshot
from ackfirst.shared.settings import SECRETS, load_settings
from tests.support import manifests
from tests.support.manifests import FOLDER, ROOT, WHOLE, built, containers, environment, of_kind, pods, selects

pytestmark = pytest.mark.skipif(
    manifests.builder() is None, reason="builds kustomizations: install kustomize or kubectl"
)
each_whole = pytest.mark.parametrize("objects", [pytest.param(name, id=name) for name in WHOLE], indirect=True)

DOCKERFILE = (ROOT / "Dockerfile").read_text()
PAGE = (ROOT / "docs" / "deployment.md").read_text()
EXAMPLE = yaml.safe_load((FOLDER / "secret.example.yaml").read_text())

Objects = tuple[manifests.Object, ...]


@pytest.fixture
def objects(request: pytest.FixtureRequest) -> Objects:
    return built(request.param)


def ours(objects: Objects) -> list[tuple[manifests.Object, manifests.Object]]:
    """Pod and container of each role that is ackfirst."""
    return [(pod, pod["spec"]["containers"][0]) for name, pod in pods(objects).items() if name != "ackfirst-redis"]


def dockerfile(pattern: str) -> str:
    (found,) = set(re.findall(pattern, DOCKERFILE, re.MULTILINE))
    return str(found)


@each_whole
def test_no_pod_has_more_rights_than_it_needs(objects: Objects) -> None:
    user = int(dockerfile(r"^ARG UID=(\d+)$"))
    for pod in pods(objects).values():
        spec = pod["spec"]
        security = spec["securityContext"]
        assert (security["runAsNonRoot"], security["runAsUser"], security["fsGroup"]) == (True, user, user)
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        for container in containers(pod):
            tight = {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["securityContext"] == tight
            assert container["resources"]["limits"]["memory"]


@each_whole
def test_the_environment_holds_settings_only_and_they_can_be_loaded(objects: Objects) -> None:
    for pod, container in ours(objects):
        # Kubernetes would add ACKFIRST_INGEST_SERVICE_HOST and the like, which are no settings.
        assert pod["spec"]["enableServiceLinks"] is False
        found = environment(container, objects)
        files = {name: value for name, value in found.items() if name.endswith("_FILE")}
        assert {name.removeprefix("ACKFIRST_").removesuffix("_FILE").lower() for name in files} <= set(SECRETS)
        load_settings({name: value for name, value in found.items() if name not in files})
        mounted = {f"/etc/ackfirst/{item['path']}" for item in secret_items(pod)}
        assert {*files.values(), *filter(None, [found.get("ACKFIRST_CONFIG")])} <= mounted
        assert "/etc/ackfirst/redis-url" in files.values()


def secret_items(pod: manifests.Object) -> list[dict[str, Any]]:
    return [item for volume in pod["spec"]["volumes"] for item in volume.get("secret", {}).get("items", ())]


@each_whole
def test_a_pod_has_the_time_that_its_program_takes_to_stop(objects: Objects) -> None:
    for pod, container in ours(objects):
        settings = load_settings({"ACKFIRST_STOP_GRACE": environment(container, objects)["ACKFIRST_STOP_GRACE"]})
        before = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["sleep", "0"])
        assert before[0] == "sleep"
        if "web" not in container["args"]:  # which stops within seconds
            assert pod["spec"]["terminationGracePeriodSeconds"] >= int(before[1]) + settings.stop_grace + 5
        assert settings.stop_grace > settings.handler_timeout


@each_whole
def test_probes_ask_what_is_there(objects: Objects) -> None:
    routes = set(re.findall(r'add_get\("(/\w+)"', (ROOT / "ingest" / "admin.py").read_text()))
    health = re.search(r"^HEALTHCHECK .* CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert health
    asked = set()
    for _, container in ours(objects):
        found = environment(container, objects)
        settings = load_settings({name: value for name, value in found.items() if not name.endswith("_FILE")})
        ports = {port["name"]: port["containerPort"] for port in container.get("ports", ())}
        listens = {"callbacks": settings.listen[0], "admin": settings.admin_listen, "pages": settings.web_listen}
        assert ports == {name: listens[name].port for name in ports}
        # The kubelet asks from outside of the pod.
        assert {listens[name].host for name in ports} <= {"0.0.0.0"}
        for probe in (value for name, value in container.items() if name.endswith("Probe")):
            if "exec" in probe:
                assert probe["exec"]["command"] == yaml.safe_load(health[1])
                continue
            where = probe.get("httpGet") or probe["tcpSocket"]
            assert where["port"] in ports
            asked |= {where["path"]} if "path" in where else set()
    assert asked == {"/healthz", "/readyz"}
    assert asked <= routes


@each_whole
def test_a_container_runs_a_command_of_ours_and_mounts_the_folders_of_the_image(objects: Objects) -> None:
    data, handlers = dockerfile(r"ACKFIRST_DATA_DIR=(\S+)$"), dockerfile(r"^WORKDIR (/srv/\S+)$")
    known = {data, handlers, "/etc/ackfirst", "/tmp"}
    for pod, container in ours(objects):
        assert container["args"][0] in main.list_commands(None)  # type: ignore[arg-type]
        mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert mounts <= known
        assert "/tmp" in mounts
        assert (data in mounts) == (container["args"][0] != "web")
        volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
        templates = [found["spec"].get("volumeClaimTemplates", ()) for found in of_kind(objects, "StatefulSet")]
        claims = {claim["metadata"]["name"] for template in templates for claim in template}
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes | claims


@each_whole
def test_every_selector_finds_the_pods_of_one_workload(objects: Objects) -> None:
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(objects).items()}

    def found(selector: Any) -> list[str]:
        return [name for name, pairs in labels.items() if selects(pairs, selector)]

    for name, workload in manifests.workloads(objects).items():
        assert found(workload["spec"]["selector"]) == [name]
        for spread in workload["spec"]["template"]["spec"].get("topologySpreadConstraints", ()):
            assert found(spread["labelSelector"]) == [name]
    for other in of_kind(objects, "Service", "PodDisruptionBudget", "PodMonitor"):
        assert found(other["spec"]["selector"]) == [other["metadata"]["name"].removesuffix("-pods")]
    for policy in of_kind(objects, "NetworkPolicy"):
        assert found(policy["spec"]["podSelector"]) == [policy["metadata"]["name"]]
        peers = [peer for rule in policy["spec"].get("ingress", ()) for peer in rule["from"] if "podSelector" in peer]
        assert all(len(found(peer["podSelector"])) == 3 for peer in peers)


@each_whole
def test_every_name_that_an_object_mentions_is_there_or_on_the_page(objects: Objects) -> None:
    workloads = manifests.workloads(objects)
    services = {found["metadata"]["name"]: found for found in of_kind(objects, "Service")}
    maps = {found["metadata"]["name"] for found in of_kind(objects, "ConfigMap")}
    for workload in workloads.values():
        assert workload["spec"].get("serviceName", "ackfirst-ingest") in services
        for volume in workload["spec"]["template"]["spec"]["volumes"]:
            if "configMap" in volume:
                assert volume["configMap"]["name"] in maps
            if "secret" in volume:
                assert volume["secret"]["secretName"] == EXAMPLE["metadata"]["name"]
    for service in services.values():
        ports = {
            port["name"] for pod in pods(objects).values() for port in pod["spec"]["containers"][0].get("ports", ())
        }
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    for scaler in of_kind(objects, "HorizontalPodAutoscaler", "ScaledObject"):
        target = workloads[scaler["spec"]["scaleTargetRef"]["name"]]
        assert target["kind"] == scaler["spec"]["scaleTargetRef"]["kind"]
        assert "replicas" not in target["spec"], "what scales decides; kubectl apply must not set it back"
    for ingress in of_kind(objects, "Ingress"):
        backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
        assert backend["port"]["name"] in [port["name"] for port in services[backend["name"]]["spec"]["ports"]]
        assert f"`{ingress['spec']['tls'][0]['secretName']}`" in PAGE


@each_whole
def test_every_key_of_the_secret_is_in_its_example_and_on_the_page(objects: Objects) -> None:
    example = (FOLDER / "secret.example.yaml").read_text()
    wanted = {item["key"] for pod in pods(objects).values() for item in secret_items(pod)}
    assert [key for key in wanted if f"{key}:" not in example] == []
    assert [key for key in wanted if f"--from-file={key}" not in PAGE] == []


def test_the_example_of_the_secret_opens_nothing() -> None:
    values = EXAMPLE["stringData"]
    assert values["web-password"] == ""
    assert not values["redis-url"].startswith("redis")


def test_workers_are_scaled_by_a_metric_that_ingest_exposes() -> None:
    lane = LaneDepth(waiting=1, retries=0, dead_letters=0, oldest_seconds=0)
    exposed = {family.name for family in SnapshotCollector(lambda: QueueSnapshot(lanes={"a": lane})).collect()}
    (scaler,) = of_kind(built("overlays/production"), "ScaledObject")
    query = scaler["spec"]["triggers"][0]["metadata"]["query"]
    assert set(re.findall(r"ackfirst_\w+", query)) == {"ackfirst_lane_waiting"} <= exposed
    assert f"`{query}`" in PAGE


def test_the_ingress_lets_bodies_in_that_ingest_takes() -> None:
    (ingress,) = of_kind(built("overlays/production"), "Ingress")
    limit = ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"]
    assert int(limit) == IngestLimits().body_bytes


def test_ingress_and_edge_try_again_in_the_same_cases() -> None:
    (ingress,) = of_kind(built("overlays/production"), "Ingress")
    cases = ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-next-upstream"]
    assert f"proxy_next_upstream {cases};" in (ROOT / "deploy" / "edge" / "callbacks.conf").read_text()


def test_the_redis_to_try_with_is_configured_as_that_of_compose() -> None:
    assert (FOLDER / "components/redis/redis.conf").read_text() == (ROOT / "deploy/redis/redis.conf").read_text()


def test_production_gets_the_authority_of_its_redis_into_every_role() -> None:
    for pod, _ in ours(built("overlays/production")):
        assert {"key": "redis-ca.pem", "path": "redis-ca.pem"} in secret_items(pod)


def test_only_images_that_an_overlay_names_are_used_in_production() -> None:
    images = {
        container["image"] for pod in pods(built("overlays/production")).values() for container in containers(pod)
    }
    assert all(re.fullmatch(r"registry\.example\.com/[a-z-]+:[\w.]+", image) for image in images)
    assert not [image for image in images if image.endswith(":latest")]
