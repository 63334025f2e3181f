"""The documents: what ARCHITECTURE.md names is there, and nothing that is there is left out."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "ARCHITECTURE.md").read_text()
NAMED = re.compile(
    r"`((?:cli|tools|formats|tests|bench|examples|docs)/[\w./]*)`(?:\s*(?:\(([^()]*)\)|:((?:\s*`[\w.]+`,?)+)))?"
)
NAMES = re.compile(r"`([A-Za-z_][\w.]*)`")


def defined(path: Path) -> set[str]:
    """Functions, classes and methods (`Class.method`) of a module."""
    found = set[str]()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{each.name}" for each in node.body if hasattr(each, "name")}
    return found


def test_every_path_that_the_architecture_names_exists() -> None:
    """Files and folders, and the functions named beside a module are defined in it."""
    seen = 0
    for path, bracketed, listed in NAMED.findall(PAGE):
        assert (ROOT / path).exists(), path
        if path.endswith(".py"):
            known = defined(ROOT / path)
            for name in NAMES.findall(bracketed + listed):
                assert name in known or name in ("a", "b"), f"{path} has no {name}"
                seen += 1
    assert seen > 60, "the walks name their functions"


def test_every_room_has_its_paragraph() -> None:
    """Every folder of the house is told of in the part on rooms."""
    rooms = PAGE.split("## The rooms")[1].split("## A tick")[0]
    folders = {"cli", "formats", "bench", "tests", "examples"}
    for top in ("tools", "tools/kernels", "formats"):
        folders |= {f"{top}/{each.parent.name}" for each in (ROOT / top).glob("*/__init__.py")}
    assert sorted(each for each in folders if f"**`{each}/`**" not in rooms) == []


def test_every_decision_page_is_linked() -> None:
    """And every link of the page leads somewhere."""
    linked = re.findall(r"\]\(([^)#]+)\)", PAGE)
    assert all((ROOT / each).exists() for each in linked)
    assert {each.name for each in (ROOT / "docs" / "decisions").glob("*.md")} <= {Path(each).name for each in linked}
