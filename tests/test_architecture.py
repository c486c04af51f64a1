"""The shape of the code, held like its behaviour: sizes, openings, a test file for each module, and who imports whom.

What is exempt stands in one list a rule, each entry with its reason; a list that names what no longer needs it fails.
"""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGES: Final = ("bench", "deploy", "edge", "protos", "regional")
MAX_MODULE_LINES: Final = 300
# Without the docstring, and without the lines of the signature.
MAX_FUNCTION_LINES: Final = 40
# The bounds above are for what a reader takes in at once; a little over them is better than a cut at the wrong place.
TOLERANCE: Final = 1.1

# Modules without a test file of their own, and the one that would fail if they were wrong.
TESTED_IN: Final = {
    "bench/driver_scripts/__main__.py": "tests/integration/test_drivers.py",
    "bench/driver_scripts/by_asyncpg.py": "tests/integration/test_drivers.py",
    "bench/driver_scripts/by_dbapi.py": "tests/integration/test_drivers.py",
    "bench/driver_scripts/by_django.py": "tests/integration/test_drivers.py",
    "bench/driver_scripts/by_programs.py": "tests/integration/test_drivers.py",
    "bench/driver_scripts/by_psycopg.py": "tests/integration/test_drivers.py",
    "bench/driver_scripts/by_sqlalchemy.py": "tests/integration/test_drivers.py",
    "bench/driver_scripts/plain.py": "tests/integration/test_drivers.py",
    "deploy/__main__.py": "tests/integration/test_psql.py",
    "protos/link/tls.py": "tests/deploy/test_node_commands.py",
    "regional/control_here.py": "tests/integration/test_configurations.py",
    "edge/certificate.py": "tests/edge/test_node.py",
    "edge/dialling.py": "tests/edge/test_uplink.py",
    "edge/learning.py": "tests/edge/test_session.py",
    "edge/owner.py": "tests/edge/test_uplink.py",
    "edge/passage.py": "tests/edge/test_client.py",
    "regional/departure.py": "tests/regional/test_channel.py",
    "regional/forwarding.py": "tests/regional/test_verifying_origin.py",
    "regional/node.py": "tests/integration/test_nodes.py",
    "regional/options.py": "tests/deploy/test_node_commands.py",
    "regional/relaying.py": "tests/regional/cache/test_publishing.py",
    "regional/scrutiny.py": "tests/regional/test_origin.py",
    "regional/cache/watching.py": "tests/regional/cache/test_publishing.py",
    "regional/cache/verdicts.py": "tests/regional/cache/test_writing.py",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _modules(folder: str) -> list[Path]:
    found = (path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.py"))
    return sorted(path for path in found if not path.stem.endswith("_pb2"))


MODULES: Final = [path for package in PACKAGES for path in _modules(package)]
TESTS: Final = _modules("tests")


def _parsed(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text())


def _functions(tree: ast.Module) -> list[Function]:
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def _length(function: Function) -> int:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_fits_in_a_head(path: Path) -> None:
    lines = len((ROOT / path).read_text().splitlines())
    assert lines <= MAX_MODULE_LINES * TOLERANCE, f"{lines} lines: it holds more than one idea"


@pytest.mark.parametrize("path", [*MODULES, *TESTS], ids=str)
def test_a_function_fits_on_a_page(path: Path) -> None:
    lengths = {function.name: _length(function) for function in _functions(_parsed(path))}
    too_long = {name: length for name, length in lengths.items() if length > MAX_FUNCTION_LINES * TOLERANCE}
    assert not too_long


@pytest.mark.parametrize("path", [*MODULES, *TESTS], ids=str)
def test_a_module_opens_with_what_it_is_for(path: Path) -> None:
    tree = _parsed(path)
    assert not tree.body or ast.get_docstring(tree)


@pytest.mark.parametrize("path", [path for path in MODULES if path.name != "__init__.py"], ids=str)
def test_a_module_has_its_test_file(path: Path) -> None:
    mirror = Path("tests") / path.with_name(f"test_{path.name}")
    assert (ROOT / mirror).exists() or str(path) in TESTED_IN, f"{mirror} is missing"


def test_the_list_of_modules_without_a_test_file_is_true() -> None:
    assert [name for name in TESTED_IN if Path(name) not in MODULES] == []
    assert [name for name in TESTED_IN.values() if not (ROOT / name).exists()] == []


def test_imports_keep_their_contracts() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout
