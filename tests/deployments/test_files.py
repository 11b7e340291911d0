"""The files for Docker and Kubernetes together: what they may not contain, and that they say the same."""

import importlib.util
import re
import subprocess
import tomllib

import jsonschema
import pytest
import yaml
from prefect.settings import get_current_settings
from prefect.settings.models.root import Settings as PrefectSettings
from pydantic import AliasChoices
from pydantic_settings import BaseSettings

from deployments.cli.app import app
from deployments.processes.prefect_server import server_settings
from models.settings import Settings
from tests.deployments.files import (
    FOLDER,
    OURS,
    ROOT,
    SECRET,
    SECRETS,
    VARIABLE,
    compose,
    compose_schema,
    compose_variables,
    env_file,
    in_image,
    interpolated,
    manifest,
    manifest_variables,
    pods,
)

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
    # The port on the machine is of Compose alone; the key is read by Prefect, though none of its settings.
    prefects = prefect_names() | {"PREFECT_PORT", "PREFECT_SERVER_ENCRYPTION_KEY"}
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
