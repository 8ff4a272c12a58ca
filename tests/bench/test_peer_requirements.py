"""What peers are installed from: names and hashes, no hosts, and everything that their scripts import."""

import json
import re
from pathlib import Path

SYSTEMS = Path(__file__).parents[2] / "bench" / "systems"
NODE = SYSTEMS / "oidc_provider"


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
