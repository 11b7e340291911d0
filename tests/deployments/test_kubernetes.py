"""The manifest for Kubernetes: what can be known about it without a cluster."""

import dataclasses
import sys
import types
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
import yaml

from tests.deployments.files import FOLDER, OURS, SECRET, SECRETS, compose, manifest, manifest_variables, pods

MODULES = {
    "v1": "core_v1",
    "apps/v1": "apps_v1",
    "batch/v1": "batch_v1",
    "networking.k8s.io/v1": "networking_v1",
}


def kubernetes_type(module: str, name: str) -> Any:
    """Return a type of Kubernetes. The types are made with a client that is not wanted here, and do without it."""
    schema = types.ModuleType("lightkube.core.schema")
    schema.__dict__.update(DictMixin=object, field=dataclasses.field, dataclass=dataclasses.dataclass)
    sys.modules.setdefault("lightkube.core", types.ModuleType("lightkube.core"))
    sys.modules.setdefault("lightkube.core.schema", schema)
    return getattr(import_module(f"lightkube.models.{module}"), name)


def faults(kind: Any, value: Any, place: str) -> Iterator[str]:
    """Yield what in a value is not of a type of Kubernetes: fields that it does not have, or has to have."""
    if get_origin(kind) is Union:
        choices = [each for each in get_args(kind) if each is not type(None)]
        if len(choices) > 1:
            if type(value) not in choices:
                yield f"{place} is none of {choices}"
            return
        (kind,) = choices
    if get_origin(kind) is list and isinstance(value, list):
        for number, each in enumerate(value):
            yield from faults(get_args(kind)[0], each, f"{place}[{number}]")
    elif dataclasses.is_dataclass(kind) and isinstance(value, dict):
        yield from faults_of_fields(kind, value, place)
    elif get_origin(kind) is dict and isinstance(value, dict):
        yield from (f"{place}.{name} is no text" for name, each in value.items() if not isinstance(each, str))
    elif kind is not Any and type(value) is not kind:
        yield f"{place} is no {kind}"


def faults_of_fields(kind: Any, value: dict[str, Any], place: str) -> Iterator[str]:
    """Yield what is wrong with a mapping that has to be of a class of Kubernetes."""
    hints = get_type_hints(kind)
    fields = {each.metadata.get("json", each.name): each for each in dataclasses.fields(kind)}
    for name, each in value.items():
        if name in fields:
            yield from faults(hints[fields[name].name], each, f"{place}.{name}")
        else:
            yield f"{place}.{name} is unknown"
    for name, each in fields.items():
        if name not in value and each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING:
            yield f"{place}.{name} is missing"


@pytest.mark.parametrize("each", manifest(), ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_each_object_has_the_fields_that_kubernetes_knows(each: dict[str, Any]):
    """Every field of the manifest exists in its type, has the right type, and none that must be there is missing."""
    model = kubernetes_type(MODULES[each["apiVersion"]], each["kind"])
    assert list(faults(model, each, each["kind"])) == []


def test_the_check_of_the_manifest_finds_mistakes():
    """A misspelt field, a missing one and a number for a text are found."""
    model = kubernetes_type("core_v1", "Container")
    wrong = {"imagee": "x", "env": [{"name": "A", "value": 1}, {}], "ports": [{"containerPort": "4200"}]}
    assert set(faults(model, wrong, "c")) == {
        "c.imagee is unknown",
        "c.name is missing",
        "c.env[0].value is no <class 'str'>",
        "c.env[1].name is missing",
        "c.ports[0].containerPort is no <class 'int'>",
    }


def test_the_manifest_refers_to_what_there_is():
    """Selectors find their pods, volumes and claims exist, secrets are those of the example."""
    claims = {each["metadata"]["name"] for each in manifest() if each["kind"] == "PersistentVolumeClaim"}
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    maps = {each["name"] for each in kustomization["configMapGenerator"]}
    assert kustomization["resources"] == ["kubernetes.yaml"]
    for generator in kustomization["configMapGenerator"]:
        for name in (*generator.get("envs", ()), *generator.get("files", ())):
            assert (FOLDER / name.rpartition("=")[2]).is_file()
    labels = {}
    for each in manifest():
        if "template" not in each.get("spec", {}):
            continue
        found = each["spec"]["template"]["metadata"]["labels"]
        labels[each["metadata"]["name"]] = found
        assert each["spec"].get("selector", {"matchLabels": found})["matchLabels"] == found
        pod = each["spec"]["template"]["spec"]
        volumes = {volume["name"]: volume for volume in pod.get("volumes", ())}
        volumes |= {made["metadata"]["name"]: {} for made in each["spec"].get("volumeClaimTemplates", ())}
        for volume in volumes.values():
            assert volume.get("persistentVolumeClaim", {}).get("claimName") in {None, *claims}
            assert volume.get("configMap", {}).get("name") in {None, *maps}
        (container,) = pod["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    for each in manifest():
        if each["kind"] == "Service":
            assert labels[each["metadata"]["name"]] == each["spec"]["selector"]
    assert kustomization["images"][0]["newTag"] == compose()["services"]["server"]["image"].partition(":")[2]


def test_secrets_come_from_the_secret_alone():
    """Each secret is a reference, to a key of the example."""
    for role, name, entry in manifest_variables():
        if SECRET.search(name) or name == "PGPASSWORD":
            reference = entry["valueFrom"]["secretKeyRef"]
            assert (reference["name"], reference["key"] in SECRETS, "value" in entry) == ("quledger", True, False), role
    assert not any(each["kind"] == "Secret" for each in manifest())


@pytest.mark.parametrize("role", ["postgres", *OURS])
def test_no_pod_may_more_than_it_must(role: str):
    """Not root, no capability, no writable root, no token, no variables of other services; a limit on memory."""
    pod = pods()[role]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"memory"} <= set(container["resources"]["limits"])
    if role in {"postgres", "server"}:
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
