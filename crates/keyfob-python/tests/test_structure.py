"""The package's modules import each other as ARCHITECTURE.md says: down its table, or to the right in a row."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = ROOT / "crates/keyfob-python/python/keyfob"


def order() -> list[str]:
    """All modules, from the top of the table to its end."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    _, section = text.split("## The Python package", 1)
    table = section.split("\n\n|", 1)[1].split("\n\n", 1)[0]
    rows = [line.split("|")[1] for line in table.splitlines() if "`" in line]
    return [name for row in rows for name in re.findall(r"`(\w+)`", row)]


def imports(module: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse((SOURCES / f"{module}.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "keyfob":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("keyfob."):
            names.add(str(node.module).removeprefix("keyfob."))
    return names - {"_core"}


def modules() -> list[str]:
    return sorted(path.stem for path in SOURCES.glob("*.py"))


def test_the_table_names_every_module_once() -> None:
    assert sorted(order()) == modules()


@pytest.mark.parametrize("module", modules())
def test_imports_point_down_the_table(module: str) -> None:
    lower = order()[order().index(module) + 1 :]
    assert imports(module) <= set(lower)
