"""Installs the packages of a lock file into an environment: `.venv/bin/python .ci/packages.py LOCK ENVIRONMENT`.

uv does it in a quarter of pip's time but reads none of pip's settings: it is told, in its environment alone, where they
find packages. Where they say more than that, or uv cannot be had or fails, pip does it. Both check every hash.
"""

import ast
import contextlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PIP = [sys.executable, "-m", "pip", "--quiet", "--quiet", "--disable-pip-version-check", "--no-input"]
INSTALL = ["install", "--no-deps", "--no-compile", "--require-hashes", "--requirement"]
UV = Path(sys.executable).with_name("uv")

MEANT_THE_SAME = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "no-index": ("UV_NO_INDEX", " "),
    "constraint": ("UV_CONSTRAINT", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "client-cert": ("SSL_CLIENT_CERT", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
    "retries": ("UV_HTTP_RETRIES", " "),
}
"""A setting of pip's -> the variable that tells uv the same, and what stands between several values."""

OF_PIP_ALONE = {
    *("disable-pip-version-check", "no-input", "quiet", "verbose", "no-color", "progress-bar", "root-user-action"),
    *("cache-dir", "no-cache-dir", "require-virtualenv", "no-warn-script-location", "no-compile"),
}


def told_by(settings: list[str]) -> dict[str, str] | None:
    """Return the variables that tell uv what pip's settings say; None where they say what uv cannot be told.

    Args:
        settings: the lines of `pip config list`.
    """
    lines = [re.fullmatch(r"([^.]+)\.([a-z-]+)=(.*)", line) for line in settings]
    said: dict[str, str] = {}
    for section in ("global", "install", ":env:"):  # the later ones count
        said |= {match[2]: str(ast.literal_eval(match[3])) for match in lines if match and match[1] == section}
    if None in lines or not said.keys() <= MEANT_THE_SAME.keys() | OF_PIP_ALONE:
        return None
    told = {"UV_SYSTEM_CERTS": "1"}
    for name, (variable, between) in MEANT_THE_SAME.items():
        if values := said.get(name, "").split():
            told[variable] = between.join(values)
    return told


def install_uv(lock: str) -> None:
    """Let pip install uv, where the lock names it, as it is named there."""
    entry = re.search(r"^uv==(?:.*\\\n)*.*$", Path(lock).read_text(encoding="utf-8"), re.MULTILINE)
    if entry and not UV.exists():
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as alone:
            alone.write(entry[0])
            alone.flush()
            subprocess.run([*PIP, *INSTALL, alone.name], check=True)


def with_uv(lock: str, python: str) -> bool:
    """Let uv install the packages; say whether it has."""
    listed = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True, check=True).stdout
    told = told_by(listed.splitlines())
    if told is None:
        return False
    install_uv(lock)
    how = ["--no-config", "--no-deps", "--require-hashes", "--index-strategy", "unsafe-best-match"]  # as pip does it
    kept = {name: value for name, value in os.environ.items() if not name.startswith("UV_") or name == "UV_CACHE_DIR"}
    done = subprocess.run(
        [UV, "pip", "install", "--quiet", "--quiet", *how, "--python", python, "--requirement", lock],
        env=kept | told, stderr=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    return done.returncode == 0


def main(lock: str, environment: str) -> int:
    """Install them; return the exit code."""
    python = f"{environment}/bin/python"
    with contextlib.suppress(OSError, ValueError, SyntaxError, subprocess.CalledProcessError):
        if with_uv(lock, python):
            return 0
    return subprocess.run([*PIP, "--python", python, *INSTALL, lock], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
