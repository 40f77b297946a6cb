# SPDX-License-Identifier: Apache-2.0
"""For MkDocs: links that leave docs/ lead to copies of the repository's files, and fences lose the tests' marks."""

import json
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

__all__ = [
    "on_files",
    "on_page_markdown",
]

DOCS = "docs"
COPIES = "repository"
UNSEARCHED = "---\nsearch:\n  exclude: true\n---\n"
FENCE = re.compile(r"^(?P<fence>`{3,}|~{3,})[^\n]*\n.*?^(?P=fence)[ \t]*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")
MARKS = re.compile(r"^(?P<start>`{3,}\w+) [\w ]+$", re.MULTILINE)
LANGUAGES = {".py": "python", ".toml": "toml", ".json": "json", ".yaml": "yaml", ".yml": "yaml", ".sh": "bash"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each file of the repository that a page links to, and for those that these link to."""
    root = Path(config.config_file_path).parent
    waiting = [(f"{DOCS}/{file.src_uri}", file.content_string) for file in files.documentation_pages()]
    while waiting:
        place, text = waiting.pop()
        for path in sorted({_resolved(link, place) for link in LINK.finditer(FENCE.sub("", text))}):
            uri = _page(path)
            if path.startswith(f"{DOCS}/") or files.get_file_from_path(uri) is not None:
                continue
            files.append(File.generated(config, uri, content=UNSEARCHED + _copied(root / path, path, place)))
            if path.endswith(".md"):
                waiting.append((path, (root / path).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: object) -> str:
    """Return a page whose links out of docs/ lead to copies, and whose fences say their language alone."""
    uri = page.file.src_uri
    return MARKS.sub(r"\g<start>", _with_links(markdown, f"{DOCS}/{uri}", uri))


def _resolved(link: re.Match[str], place: str) -> str:
    """Return the path in the repository to which a link of the file `place` leads."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(place), link["target"]))


def _page(path: str) -> str:
    """Return where a file of the repository is in the site's sources."""
    if path.startswith(f"{DOCS}/"):
        return path.removeprefix(f"{DOCS}/")
    return f"{COPIES}/{path}" if path.endswith(".md") else f"{COPIES}/{path}.md"


def _with_links(text: str, place: str, uri: str) -> str:
    """Return the text of the file `place` with links for the page `uri`; code is left as it is."""

    def moved(link: re.Match[str]) -> str:
        target = posixpath.relpath(_page(_resolved(link, place)), posixpath.dirname(uri) or ".")
        return f"]({target}{link['anchor'] or ''})"

    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [LINK.sub(moved, text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, LINK.sub(moved, text[end:])])


def _copied(file: Path, path: str, place: str) -> str:
    """Return a file of the repository as a page: Markdown as it is, else its text, of a folder the files' names."""
    if file.is_dir():
        names = sorted(f"{each.name}/" if each.is_dir() else each.name for each in file.iterdir())
        shown = [name for name in names if not name.startswith((".", "__pycache__"))]
        return "\n".join([f"# `{path}/`\n\nA folder of the repository:\n", *(f"- `{name}`" for name in shown), ""])
    if not file.is_file():
        raise FileNotFoundError(f"{place} links to {path}, which is not in the repository")
    text = file.read_text(encoding="utf-8")
    if path.endswith(".md"):
        return _with_links(text, path, _page(path))
    if path.endswith(".ipynb"):
        return _with_links(_notebook(text), path, _page(path))
    return f"# `{path}`\n\n~~~~~{LANGUAGES.get(file.suffix, 'text')}\n{text.rstrip()}\n~~~~~\n"


def _notebook(text: str) -> str:
    """Return the cells of a notebook as a page, without outputs."""
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"]]
    return "\n\n".join(f"~~~~~python\n{source}\n~~~~~" if kind == "code" else source for kind, source in cells) + "\n"
