"""What the files in deployments/ say, read as the programs that use them read them."""

import json
import re
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
