"""What the files in deployments/ say, read as the programs that use them read them."""

import fnmatch
import json
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deployments"
OURS = ("server", "deploy", "worker", "drain")
"""The roles that our image has."""

VARIABLE = re.compile(r"\$\{([A-Z_]+)(?:(:[-?])([^}]*))?\}")
SECRETS = ("POSTGRES_PASSWORD", "PREFECT_SERVER_DATABASE_PASSWORD", "PREFECT_API_AUTH_STRING")
SECRET = re.compile(r"PASSWORD|SECRET|ACCESS_KEY|AUTH_STRING|TOKEN|API_KEY|CREDENTIAL")


@cache
def compose() -> dict[str, Any]:
    """Return the Compose file."""
    content: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    return content


@cache
def compose_schema() -> dict[str, Any]:
    """Return the official schema of Compose files."""
    place = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    schema: dict[str, Any] = json.loads(place.read_text())
    return schema


@cache
def manifest() -> list[dict[str, Any]]:
    """Return the objects of kubernetes.yaml."""
    return list(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text()))


def pods() -> dict[str, dict[str, Any]]:
    """Return the pod of each role in kubernetes.yaml."""
    return {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]
        for each in manifest()
        if "template" in each.get("spec", {})
    }


def interpolated(value: str, environment: dict[str, str]) -> str:
    """Return a value of the Compose file as Compose would hand it on; a variable that has to be set must be."""

    def replace(match: re.Match[str]) -> str:
        name, operator, rest = match.groups()
        if environment.get(name):
            return environment[name]
        assert operator == ":-", f"{name} is not set"
        return str(rest)

    return VARIABLE.sub(replace, value)


def env_file(path: Path) -> dict[str, str]:
    """Return what an env file sets."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Z_]+=[^\s\"'$#]*", line) for line in lines), "no quotes: not all read them alike"
    return dict(line.split("=", 1) for line in lines)


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
