"""The package's modules import each other as ARCHITECTURE.md says: from the lines below, and never in a circle."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = ROOT / "crates/keyfob-python/python"


def lines() -> list[list[str]]:
    """The lines of the block in ARCHITECTURE.md, from the top; each line holds modules and folders."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    _, section = text.split("## The Python package", 1)
    _, block = section.split("Python modules, from the top:", 1)
    return [line.split() for line in block.split("```")[1].splitlines() if line.strip()]


def modules() -> dict[str, Path]:
    """Each module of the package by its dotted name, and its file."""
    paths = sorted((SOURCES / "keyfob").rglob("*.py"))
    return {name_of(path): path for path in paths}


def name_of(path: Path) -> str:
    parts = path.relative_to(SOURCES / "keyfob").with_suffix("").parts
    is_package = len(parts) > 1 and parts[-1] == "__init__"
    return ".".join(parts[:-1] if is_package else parts)


def top(module: str) -> str:
    """The name that a line has for a module: its folder, if it is in one."""
    return module.split(".", maxsplit=1)[0]


def imports(module: str) -> set[str]:
    """The package's own modules that a module imports, anywhere in its code."""
    names = set()
    for node in ast.walk(ast.parse(modules()[module].read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    own = {name.removeprefix("keyfob.") for name in names if name.startswith("keyfob.")}
    return own & modules().keys()


def test_each_module_is_on_one_line() -> None:
    named = [name for line in lines() for name in line]
    assert sorted(named) == sorted({top(module) for module in modules()})


@pytest.mark.parametrize("module", modules())
def test_a_module_imports_only_from_lines_below(module: str) -> None:
    here = next(index for index, line in enumerate(lines()) if top(module) in line)
    below = {name for line in lines()[here + 1 :] for name in line}
    others = {top(imported) for imported in imports(module)} - {top(module)}
    assert others <= below


def test_no_modules_of_a_folder_import_each_other_in_a_circle() -> None:
    graph = {module: imports(module) for module in modules()}
    list(TopologicalSorter(graph).static_order())
