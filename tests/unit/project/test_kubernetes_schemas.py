"""Every Kubernetes manifest is one: each object holds against Kubernetes' own schemas, field by field."""

import kubernetes_validate
import pytest
import yaml

from tests.support import manifests
from tests.support.manifests import FOREIGN, WHOLE, built, kind_of

#: The oldest that has all fields which are used, and one that is new.
VERSIONS = ("1.29", "1.36")

needs_kustomize = pytest.mark.skipif(
    manifests.builder() is None, reason="builds kustomizations: install kustomize or kubectl"
)


def refused(found: manifests.Object, version: str) -> str | None:
    try:
        kubernetes_validate.validate(found, version, strict=True)
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
        return f"{kind_of(found)} {found['metadata']['name']}: {error.message}"
    return None


@needs_kustomize
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", WHOLE)
def test_every_object_of_a_kustomization_is_valid_field_by_field(name: str, version: str) -> None:
    native = [found for found in built(name) if kind_of(found) not in FOREIGN]
    assert len(native) > 8
    assert [said for found in native if (said := refused(found, version))] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_the_example_of_the_secret_is_valid(version: str) -> None:
    assert refused(yaml.safe_load((manifests.FOLDER / "secret.example.yaml").read_text()), version) is None


@needs_kustomize
def test_a_field_that_does_not_exist_is_found() -> None:
    (autoscaler,) = manifests.of_kind(built("base"), "HorizontalPodAutoscaler")
    wrong = {**autoscaler, "spec": {**autoscaler["spec"], "minimum": 2}}
    assert "minimum" in (refused(wrong, VERSIONS[-1]) or "")


@needs_kustomize
def test_only_kinds_that_the_page_names_come_from_elsewhere() -> None:
    foreign = {kind_of(found) for name in WHOLE for found in built(name) if kind_of(found) in FOREIGN}
    assert foreign == set(FOREIGN)
    page = (manifests.ROOT / "docs" / "deployment.md").read_text()
    assert [kind for kind in FOREIGN if kind.rpartition("/")[2] not in page] == []
