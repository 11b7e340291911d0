"""The files for Docker and Kubernetes: what can be known about them without an engine and a cluster."""

import dataclasses
import fnmatch
import importlib.util
import re
import subprocess
import sys
import tomllib
import types
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Union, get_args, get_origin, get_type_hints

import jsonschema
import pytest
import yaml
from packaging.utils import canonicalize_name
from prefect.settings import get_current_settings
from prefect.settings.models.root import Settings as PrefectSettings
from pydantic import AliasChoices
from pydantic_settings import BaseSettings

from deployments.cli.app import app
from deployments.image.strip_dev_packages import packages_needed
from deployments.processes.prefect_server import server_settings
from models.settings import Settings
from tests.deployments.files import (
    FOLDER,
    OURS,
    ROOT,
    VARIABLE,
    compose,
    compose_schema,
    env_file,
    interpolated,
    manifest,
    pods,
)

SECRETS = ("POSTGRES_PASSWORD", "PREFECT_SERVER_DATABASE_PASSWORD", "PREFECT_API_AUTH_STRING")
SECRET = re.compile(r"PASSWORD|SECRET|ACCESS_KEY|AUTH_STRING|TOKEN|API_KEY|CREDENTIAL")
ANY_SECRET = re.compile(r"://[^/\s$]+:[^/\s$]+@|BEGIN [A-Z ]*PRIVATE KEY|AKIA[0-9A-Z]{16}")
FILES = ("compose.yaml", "kubernetes.yaml", "kustomization.yaml", "Dockerfile", "example.env", "prefect-server.env")


def prefect_names(model: type[BaseSettings] = PrefectSettings) -> set[str]:
    """Return the names of all environment variables that Prefect knows."""
    names = set()
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseSettings):
            names |= prefect_names(field.annotation)
            continue
        alias = field.validation_alias
        words = [str(each) for each in alias.choices] if isinstance(alias, AliasChoices) else [name]
        names |= {f"{model.model_config['env_prefix']}{name}".upper(), *(word.upper() for word in words)}
    return names


def compose_variables() -> Iterator[tuple[str, str, str]]:
    """Yield service, name and value of each environment variable of the Compose file."""
    for service, what in compose()["services"].items():
        for name, value in what.get("environment", {}).items():
            yield service, name, str(value)


def manifest_variables() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield role, name and the whole entry of each environment variable of the manifest."""
    for role, pod in pods().items():
        for container in pod["containers"]:
            for entry in container.get("env", ()):
                yield role, entry["name"], entry


# Compose


def test_compose_fits_the_official_schema():
    """The Compose file has no word that Compose does not know, and none in the wrong place."""
    jsonschema.validate(compose(), compose_schema())
    broken = compose() | {"services": {"x": {"image": "y", "comand": "z"}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, compose_schema())


def test_compose_refers_to_what_there_is():
    """Volumes, other services, files and anchors that are named exist; our image has the version of the program."""
    services, volumes = compose()["services"], compose()["volumes"]
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for name, service in services.items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (FOLDER / source).is_file() if source.startswith(".") else source in volumes, f"{name}: {volume}"
        assert set(service.get("depends_on", ())) <= set(services)
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[other]
        if name in OURS:
            assert service["image"] == f"quledger:{version}"
            assert (service["cap_drop"], service["read_only"], service["init"]) == (["ALL"], True, True)
        else:
            assert re.fullmatch(r"[a-z/]+:[\w.]+", service["image"])
            assert not service["image"].endswith(":latest")
    build = services["server"]["build"]
    assert (FOLDER / build["context"] / build["dockerfile"]).samefile(FOLDER / "Dockerfile")


def test_nothing_is_published_except_on_loopback():
    """No port is open to others, neither of the machine nor of the cluster."""
    ports = [port for service in compose()["services"].values() for port in service.get("ports", ())]
    assert len(ports) == 1
    assert all(isinstance(port, str) and port.startswith("127.0.0.1:") for port in ports)
    assert not any("network_mode" in service or "pid" in service for service in compose()["services"].values())
    services = [each["spec"] for each in manifest() if each["kind"] == "Service"]
    assert [each["type"] for each in services] == ["ClusterIP"] * len(services)
    assert not any({"externalIPs", "loadBalancerIP"} & set(each) for each in services)
    assert not any(each["kind"] in {"Ingress", "Gateway", "HTTPRoute"} for each in manifest())
    assert not any({"hostNetwork", "hostPID", "hostIPC"} & set(pod) for pod in pods().values())


def test_compose_demands_each_secret():
    """Without the secrets Compose stops with a sentence; none has a default, a literal value, a place in a command."""
    for service, name, value in compose_variables():
        if not SECRET.search(name) and name != "PGPASSWORD":
            continue
        match = VARIABLE.fullmatch(value)
        assert match, f"{service}: {name} is a literal"
        assert match[2] == ":?" if match[1] in SECRETS else (match[2], match[3]) == (":-", "")
        if match[2] == ":?":
            with pytest.raises(AssertionError, match=match[1]):
                interpolated(value, {})
    for service in compose()["services"].values():
        assert not SECRET.search(str(service.get("command", "")) + str(service.get("healthcheck", "")))


def test_example_env_asks_for_exactly_the_secrets():
    """The example names each secret and gives none a value, and what Git and Docker see is not the real one."""
    text = (FOLDER / "example.env").read_text()
    assert env_file(FOLDER / "example.env") == dict.fromkeys(SECRETS, "")
    asked = {match[1] for match in VARIABLE.finditer((FOLDER / "compose.yaml").read_text())}
    offered = set(re.findall(r"^#?([A-Z_]+)=", text, re.MULTILINE))
    assert offered <= asked
    assert asked - offered <= {"QULEDGER_CONCURRENCY", "PREFECT_PORT"}
    ignored = subprocess.run(["git", "check-ignore", "-q", "--no-index", "deployments/.env"], cwd=ROOT, check=False)
    assert ignored.returncode in {0, 128}
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
    assert not in_image("deployments/.env")


@pytest.mark.parametrize("name", FILES)
def test_no_file_holds_a_secret(name: str):
    """No URL with a password, no key."""
    assert not ANY_SECRET.search((FOLDER / name).read_text())


# The commands and the variables of both


def test_both_run_the_same_commands():
    """Compose and Kubernetes have the same roles, and each role the same command and the same variables."""
    theirs = {role: pod["containers"][0].get("command") for role, pod in pods().items()}
    assert {role: compose()["services"][role]["command"] for role in OURS} == {role: theirs[role] for role in OURS}
    assert set(theirs) == {*OURS, "postgres"}
    for role in theirs:
        optional = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "PGDATA"}
        here = {name for service, name, _ in compose_variables() if service == role} - optional
        there = {name for pod, name, _ in manifest_variables() if pod == role} - optional
        # Who only registers deployments needs neither log nor storage.
        assert here == there or (role == "deploy" and there < here), role


@pytest.mark.parametrize("role", OURS)
def test_every_command_is_one_that_there_is(role: str):
    """The program's own parser takes each of our commands; Prefect's server is really started by another test."""
    command = compose()["services"][role]["command"]
    if command[0] == "quledger":
        app.parse_args(command[1:], exit_on_error=False, print_error=False)
    elif command[0] == "python":
        assert command[1] == "-m"
        assert importlib.util.find_spec(command[2]) is not None
    else:
        assert command[:3] == ["prefect", "server", "start"]


def test_every_variable_is_a_setting_that_there_is():
    """Each QULEDGER_ variable is ours and each PREFECT_ variable is Prefect's, in every file."""
    ours = {f"QULEDGER_{name.upper()}" for name in Settings.model_fields}
    prefects = prefect_names() | {"PREFECT_PORT"}  # of Compose alone: the port on the machine
    for name in FILES:
        text = (FOLDER / name).read_text()
        assert set(re.findall(r"\bQULEDGER_[A-Z_]+", text)) <= ours, name
        assert set(re.findall(r"\bPREFECT_[A-Z_]+", text)) <= prefects, name
    assert "PREFECT_SERVER_NONSENSE" not in prefects


def test_cors_and_csrf_are_left_as_prefect_has_them():
    """Nothing of ours sets who may call the API from a browser."""
    names = server_settings().keys() | {name for _, name, _ in compose_variables()}
    names |= {name for _, name, _ in manifest_variables()}
    assert not [name for name in names if "CORS" in name or "CSRF" in name]


# One source of the tuned settings


def test_all_servers_are_tuned_by_one_file():
    """`quledger up`, Compose and Kubernetes read the same file, and none of them says otherwise in another place."""
    tuned = env_file(FOLDER / "prefect-server.env")
    assert server_settings() == tuned
    assert set(tuned) <= prefect_names()

    server = compose()["services"]["server"]
    assert server["env_file"] == "prefect-server.env"
    assert not set(server["environment"]) & set(tuned)

    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    generated = {each["name"]: each for each in kustomization["configMapGenerator"]}
    assert generated["prefect-server"]["envs"] == ["prefect-server.env"]
    (container,) = pods()["server"]["containers"]
    assert container["envFrom"] == [{"configMapRef": {"name": "prefect-server"}}]
    assert not {entry["name"] for entry in container["env"]} & set(tuned)
    assert not set(tuned) & set(re.findall(r"PREFECT_[A-Z_]+", (FOLDER / "Dockerfile").read_text()))


def test_the_tuned_settings_are_not_prefects_defaults():
    """Each line of the file changes something: what Prefect does by itself need not be said."""
    for name, value in server_settings().items():
        path = name.removeprefix("PREFECT_").lower()
        assert str(setting(get_current_settings(), path)).lower() != value.lower(), name


def setting(settings: BaseSettings, path: str) -> object:
    """Return a setting of Prefect by its name, the parts of which are joined by underscores."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if path == name:
            return value
        if path.startswith(f"{name}_") and isinstance(value, BaseSettings):
            return setting(value, path.removeprefix(f"{name}_"))
    raise KeyError(path)


# Kubernetes


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


# The image


def dockerfile() -> list[list[str]]:
    """Return the instructions of the Dockerfile, each as its words."""
    text = re.sub(r"^#.*\n", "", (FOLDER / "Dockerfile").read_text(), flags=re.MULTILINE)
    return [line.split() for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def in_image(path: str) -> bool:
    """Say whether .dockerignore lets a path into the build: the last line that fits decides."""
    found = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!").removeprefix("**/")
        parts = path.split("/")
        heads = ["/".join(parts[:number]) for number in range(1, len(parts) + 1)]
        names = parts if "**/" in line else heads
        if any(fnmatch.fnmatch(name, pattern) for name in names):
            found = line.startswith("!")
    return found


def test_what_the_image_copies_exists_and_is_let_in():
    """Each source of a COPY is in the repository and not ignored; what the program needs is copied."""
    copied = [line for line in dockerfile() if line[0] == "COPY" and not line[1].startswith("--from")]
    sources = {source.rstrip("/") for line in copied for source in line[1:-1]}
    for source in sources:
        assert (ROOT / source).exists()
        assert in_image(source)
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*packages["packages"], "prefect.yaml", "requirements.lock"} <= sources
    for path in (".git/config", "tests/conftest.py", ".venv/x", "deployments/.env", "models/__pycache__/x.pyc", ".env"):
        assert not in_image(path), path
    assert in_image("deployments/prefect-server.env")
    assert not [line for line in dockerfile() if line[0] == "ADD"]


def test_the_image_is_made_of_the_lock_and_runs_as_nobody_special():
    """Hashes are demanded, no package is built, the last USER is a number that is not 0, no secret is an argument."""
    lines = [" ".join(line) for line in dockerfile()]
    install = next(line for line in lines if "requirements.lock" in line and line.startswith("RUN"))
    assert {"--require-hashes", "--no-deps", "--only-binary"} <= set(install.split())
    last_stage = lines[max(number for number, line in enumerate(lines) if line.startswith("FROM")) :]
    assert [line for line in last_stage if line.startswith("USER")] == ["USER 10001:10001"]
    assert not [line for line in lines if line.startswith(("ARG", "ENV")) and SECRET.search(line)]
    assert {pod["securityContext"]["runAsUser"] for role, pod in pods().items() if role in OURS} == {10001}
    python = next(line for line in lines if line.startswith("ARG PYTHON="))
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert python.removeprefix("ARG PYTHON=") == required.removeprefix(">=")


def test_the_image_keeps_what_runs_and_nothing_else():
    """What is pruned is what only the tests, the linters and the build need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    kept = packages_needed()
    names = [re.split(r"[\[<>=~! ]", line)[0] for line in project["dependencies"]]
    assert {canonicalize_name(name) for name in names} <= kept
    assert {"asyncpg", "uvicorn", "sqlalchemy", "aiobotocore"} <= kept  # through others, one by an extra
    extras = {
        canonicalize_name(re.split(r"[\[<>=~! ]", line)[0])
        for group in ("lint", "build")
        for line in project["optional-dependencies"][group]
    }
    assert not extras & kept
    assert not {"pytest", "hypothesis", "mypy", "ruff", "uv"} & kept
