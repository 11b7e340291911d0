"""Every example of README and docs is tried: the blocks of a page in order, in an empty home, with the real command.

Words in capitals that a reader replaces (`ID`, `HASH`) are variables here, which a `before` sets.
"""

import json
import os
import re
import tomllib
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from models.settings import Settings
from tests.documentation.blocks import PAGES, ROOT, Block, blocks
from tests.documentation.shell import Shell, free_port

ALL = os.environ.get("QULEDGER_TEST_DOCS") == "all"
RUN = {"sh", "python"}
ELSEWHERE = dict.fromkeys(("docs/python.md", "docs/qiskit.md", "docs/pennylane.md"), "tests/clients/test_python.py")
"""Pages whose examples are one program in an environment of its own -> the test that runs it."""
SHOWN = {"text", "json", "toml", "yaml", "ini", "nginx", "css", "mermaid", ""}
TO_FILL_IN = re.compile(r"(?<![\w$\"{<'-])(ID|OTHER|HASH|KID|BACKEND|NAME|JOB)(?![\w=-])")
ALWAYS = {"README.md", "docs/quickstart.md"}
"""Pages that are tried in every run of the tests; of all others those that serve jobs by `make docs` alone."""


def tried(page: Path) -> list[Block]:
    """Return the blocks of a page that are run here, or are a file that they use."""
    if str(page.relative_to(ROOT)) in ELSEWHERE:
        return []
    found = [each for each in blocks(page.read_text("utf-8")) if not each.not_tried and (ALL or not each.slow)]
    serves = any(re.search(r"quledger (drain|serve|up)\b", "\n".join([*each.before, each.text])) for each in found)
    if serves and not ALL and str(page.relative_to(ROOT)) not in ALWAYS:
        return []
    return [each for each in found if each.language in RUN or each.file]


@pytest.mark.parametrize("page", [each for each in PAGES if tried(each)], ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_does_what_it_says(page: Path, tmp_path: Path, prefect_api: str):
    """Each command works; what stands behind it as its output is what it prints, where `…` is anything."""
    # `quledger up` takes the Prefect that is there, as the shell has its address.
    ports = {"8000": str(free_port()), "4200": str(urlsplit(prefect_api).port)}
    shell = Shell(tmp_path, prefect_api)
    script = ["trap 'echo \"$BASH_COMMAND\" >&2' ERR"]
    for number, block in enumerate(tried(page)):
        script += [f"exec >../{number}.out", *(_here(each, ports) for each in block.before), _as_shell(block, ports)]

    assert shell.run("\n".join(script)) == ""

    numbers = {block.line: number for number, block in enumerate(tried(page))}
    for block, output in pairwise(blocks(page.read_text("utf-8"))):
        if output.language == "text" and output.follows and block.line in numbers:
            printed = (tmp_path / f"{numbers[block.line]}.out").read_text("utf-8")
            assert _is_like(printed, output.text), printed


def _as_shell(block: Block, ports: dict[str, str]) -> str:
    if block.file:
        return f"cat > {block.file} <<'END OF FILE'\n{block.text}END OF FILE"
    if block.language == "python":
        return f"cat > block.py <<'END OF FILE'\n{block.text}END OF FILE\npython block.py"
    return _here(TO_FILL_IN.sub(r"$\1", block.commands), ports)


def _here(text: str, ports: dict[str, str]) -> str:
    """Return commands on free ports and in the home, which leave running what does not end."""
    text = re.sub(r"\bquledger serve\b", f"quledger serve --port {ports['8000']}", text)
    text = re.sub(r"\bquledger up\b", f"quledger up --port {ports['4200']} --api-port {ports['8000']}", text)
    text = re.sub(
        r"^(quledger (serve|up|drain(?! --until-empty)|.* & quledger drain)\b[^&#\n]*)(#.*)?$",
        r"\1 &",
        text,
        flags=re.MULTILINE,
    )
    text = text.replace("file:///srv/", "file://$HOME/srv/")
    return re.sub(r"(?<=127\.0\.0\.1:)(8000|4200)\b", lambda found: ports[found[0]], text)


def _is_like(printed: str, shown: str) -> bool:
    def lines(text: str) -> str:
        return "\n".join(line.rstrip() for line in text.strip().splitlines())

    expression = ".*".join(re.escape(part) for part in lines(shown).split("…"))
    return re.fullmatch(expression, lines(printed), re.DOTALL) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_is_only_shown_is_well_formed(page: Path, monkeypatch: pytest.MonkeyPatch):
    """JSON, TOML and YAML can be read, settings are accepted, and every block says what it is."""
    for block in blocks(page.read_text("utf-8")):
        assert block.language in RUN | SHOWN - {""} or block.language.startswith("{"), f"line {block.line}"
        if block.language == "json":
            json.loads(block.text)
        elif block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "yaml":
            yaml.safe_load(block.text)
        elif block.language == "ini":
            _is_setting(block, monkeypatch)


def _is_setting(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        for line in filter(None, block.text.splitlines()):
            name, equals, value = line.partition("=")
            assert equals
            patch.setenv(name, value.partition(" #")[0].strip().strip("'\""))
        Settings.read()
