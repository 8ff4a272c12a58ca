"""What peers are installed from: names and hashes, no hosts, and everything that their scripts import."""

import ast
import json
import re
import sys
from pathlib import Path

import pytest

SYSTEMS = Path(__file__).parents[2] / "bench" / "systems"
NODE = SYSTEMS / "oidc_provider"
FLASK = SYSTEMS / "flask_authlib"
PYTHON = sorted(SYSTEMS.glob("*/requirements.txt"))


def test_npm_lock_names_no_registry_and_hashes_every_package() -> None:
    lock = json.loads((NODE / "package-lock.json").read_text())

    packages = {name: package for name, package in lock["packages"].items() if name}

    assert not [name for name, package in packages.items() if "resolved" in package]
    assert not [name for name, package in packages.items() if not package["integrity"].startswith("sha512-")]


def test_npm_manifest_and_lock_pin_the_same_exact_versions() -> None:
    manifest = json.loads((NODE / "package.json").read_text())
    lock = json.loads((NODE / "package-lock.json").read_text())

    pinned = manifest["dependencies"] | manifest["optionalDependencies"]

    assert {name: lock["packages"][f"node_modules/{name}"]["version"] for name in pinned} == pinned


def test_node_scripts_import_only_pinned_packages() -> None:
    manifest = json.loads((NODE / "package.json").read_text())
    scripts = "\n".join(path.read_text() for path in NODE.glob("*.mjs"))

    imported = set(re.findall(r"from '([^.'][^']*)'", scripts))

    assert {name for name in imported if not name.startswith("node:")} <= manifest["dependencies"].keys()


@pytest.mark.parametrize("peer", PYTHON, ids=lambda peer: peer.parent.name)
def test_python_requirements_name_no_index_and_pin_everything_by_hash(peer: Path) -> None:
    lines = [
        line for line in peer.read_text().splitlines() if line and not line.startswith(("    --hash=sha256:", "#"))
    ]

    assert not [line for line in lines if re.search(r"https?:|--(extra-)?index|--find-links", line)]
    assert not [line for line in lines if not re.fullmatch(r"[a-z0-9-]+(\[[a-z,-]+\])?==[^ ]+ ?(; .*)?\\", line)]


def test_flask_scripts_import_only_pinned_packages() -> None:
    pinned = set(re.findall(r"^([a-z0-9-]+)==", (FLASK / "requirements.txt").read_text(), re.MULTILINE))
    own = {path.stem for path in FLASK.glob("*.py")}

    imported = {name for path in FLASK.glob("*.py") for name in _imported(path)}

    assert imported - own - sys.stdlib_module_names <= pinned
    assert "gunicorn" in pinned


def _imported(path: Path) -> set[str]:
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = [module for node in nodes for module in _modules(node)]
    return {module.partition(".")[0] for module in modules}


def _modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names]
