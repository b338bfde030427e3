"""The Python examples in README.md and docs/ run as they are written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = [
    "README.md",
    "crates/keyfob-python/README.md",
    "docs/how-to/from-other-libraries.md",
    "docs/how-to/migration.md",
    "docs/how-to/python.md",
    "docs/reference/profiles.md",
    "docs/how-to/testing.md",
]


def examples() -> dict[str, str]:
    """The examples, by page and line."""
    found = {}
    for page in PAGES:
        text = (ROOT / page).read_text()
        for match in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, match.start()) + 1
            found[f"{page}:{line}"] = match[1]
    return found


@pytest.mark.parametrize("place", examples())
def test_an_example_runs_as_it_is_written(place: str, tmp_path: Path) -> None:
    example = examples()[place]
    if "def test_" in example:
        run_tests(example, tmp_path)
    else:
        run(example)


def test_the_whole_program_of_the_package_is_never_refused() -> None:
    program = next(each for each in examples().values() if "serve_forever" in each)
    *responses, headers = run(program).splitlines()
    assert len(responses) == 25
    assert {response.split()[0] for response in responses} == {"200"}
    assert len({response.split()[1] for response in responses}) > 1
    assert headers == "{'authorization': '[redacted]'}"


def run_tests(example: str, folder: Path) -> None:
    """Runs an example that consists of tests."""
    (folder / "conftest.py").write_text(REGISTER)
    (folder / "test_example.py").write_text(example)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


REGISTER = """
from keyfob import _pytest_plugin

def pytest_configure(config):
    # An installed package registers its fixtures by itself.
    if not config.pluginmanager.has_plugin("keyfob"):
        config.pluginmanager.register(_pytest_plugin, "keyfob")
"""


def run(example: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout
