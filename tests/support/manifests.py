"""The Kubernetes manifests as ``kubectl apply -k`` would send them."""

import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"

#: What an operator applies.
WHOLE = ("base", "overlays/try", "overlays/production")

#: Kinds that an operator's cluster learns from somebody else; Kubernetes' own schemas do not have them.
FOREIGN = ("monitoring.coreos.com/v1/PodMonitor", "keda.sh/v1alpha1/ScaledObject")

Object = dict[str, Any]


def builder() -> list[str] | None:
    """The command that builds a kustomization, or None where this machine has none."""
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    return ["kubectl", "kustomize"] if shutil.which("kubectl") else None


@cache
def built(name: str) -> tuple[Object, ...]:
    """Every object of the kustomization in this folder."""
    command = builder()
    assert command is not None
    done = subprocess.run([*command, FOLDER / name], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, f"a warning of kustomize: {done.stderr}"
    return tuple(yaml.safe_load_all(done.stdout))


def kind_of(found: Object) -> str:
    """Version and kind in one text."""
    return f"{found['apiVersion']}/{found['kind']}"


def of_kind(objects: tuple[Object, ...], *kinds: str) -> list[Object]:
    """Those of these kinds."""
    return [found for found in objects if found["kind"] in kinds]


def workloads(objects: tuple[Object, ...]) -> dict[str, Object]:
    """What makes pods, by name."""
    return {found["metadata"]["name"]: found for found in of_kind(objects, "Deployment", "StatefulSet")}


def pods(objects: tuple[Object, ...]) -> dict[str, Object]:
    """The template of each workload's pods, by the workload's name."""
    return {name: found["spec"]["template"] for name, found in workloads(objects).items()}


def containers(pod: Object) -> Iterator[Object]:
    """All of a pod, also those that run before the others."""
    yield from pod["spec"].get("initContainers", ())
    yield from pod["spec"]["containers"]


def environment(container: Object, objects: tuple[Object, ...]) -> dict[str, str]:
    """What the container's process finds in its environment, of what the manifests say."""
    found: dict[str, str] = {}
    maps = {each["metadata"]["name"]: each["data"] for each in of_kind(objects, "ConfigMap")}
    for source in container.get("envFrom", ()):
        found |= maps[source["configMapRef"]["name"]]
    return found | {pair["name"]: pair["value"] for pair in container.get("env", ())}


def selects(labels: dict[str, str], selector: Object) -> bool:
    """Whether a label selector of any shape (``matchLabels``, ``matchExpressions`` with In, plain pairs) matches."""
    if not {"matchLabels", "matchExpressions"} & selector.keys():
        return selector.items() <= labels.items()
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(each["key"]) in each["values"] for each in selector.get("matchExpressions", ())
    )
