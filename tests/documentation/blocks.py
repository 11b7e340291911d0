"""The examples of a page: its blocks of code, and what comments in front of them say.

A comment is `<!-- WORD: TEXT -->`, alone on its line, directly in front of the block that it is about:

- `file: NAME`: the block is this file, which the blocks behind it use;
- `before: COMMANDS`: what a reader has done by then, in the shell;
- `except COMMANDS: REASON`: commands that are left out, each in backquotes, by how their lines begin;
- `slow: REASON`: only tried by `make docs`;
- `not tried: REASON`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

_BLOCK = re.compile(
    r"(?P<comments>(?:^ *<!-- [^\n]* -->\n)*)^(?P<indent> *)```(?P<language>[^\n]*)\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
_COMMENT = re.compile(r"^ *<!-- (file|before|except|slow|not tried)\b ?(.*?): (.*) -->$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        line: of the page, where it begins.
        follows: nothing but empty lines stands between it and the block before.
        left_out: how lines begin that are not tried.
    """

    language: str
    text: str
    line: int
    follows: bool = False
    file: str = ""
    before: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    slow: str = ""
    not_tried: str = ""

    @property
    def commands(self) -> str:
        """Its lines but for those that are left out."""
        lines = self.text.splitlines()
        for each in self.left_out:
            assert any(line.startswith(each) for line in lines), f"no line begins with {each}"
        return "\n".join(line for line in lines if not line.startswith(tuple(self.left_out)))


def blocks(page: str) -> Iterator[Block]:
    """Yield the blocks of a page in order."""
    end = 0
    for found in _BLOCK.finditer(page):
        said: dict[str, list[tuple[str, str]]] = {}
        comments = _COMMENT.findall(found["comments"])
        assert len(comments) == found["comments"].count("<!-- ") or "made by" in found["comments"]
        for word, more, text in comments:
            said.setdefault(word, []).append((more, text))
        yield Block(
            language=found["language"].strip(),
            text=re.sub(rf"^{found['indent']}", "", found["text"], flags=re.MULTILINE),
            line=page.count("\n", 0, found.start("text")),
            follows=not page[end : found.start()].strip(),
            file=_only(said.get("file")),
            before=[text for _, text in said.get("before", [])],
            left_out=[each for more, _ in said.get("except", []) for each in re.findall(r"`([^`]+)`", more)],
            slow=_only(said.get("slow")),
            not_tried=_only(said.get("not tried")),
        )
        end = found.end()


def _only(said: list[tuple[str, str]] | None) -> str:
    return said[0][1] if said else ""
