"""Write all that is generated anew: `python -m docs.generator`."""

from docs.generator.pages import PAGES, ROOT

for name, made in PAGES.items():
    path = ROOT / "docs" / name
    text = made(path.read_text("utf-8") if path.exists() else "")
    path.write_text(text, encoding="utf-8")
