"""What importing the verifier costs a backend: two libraries, and nothing of the server."""

import json
import subprocess
import sys

import pytest

NOUNS = {"compact_jws", "strict_json", "verify"}
LIGHT = {"claims", "checks", "documents", "errors", "feed", "fetch", "jws", "keys", "tokens", "verifier"}
LISTED = "import json, sys; print(json.dumps(sorted(sys.modules)))"


def modules_after(statement: str) -> set[str]:
    """The modules that an interpreter has loaded after a statement, and had not before."""
    before, after = (
        set(json.loads(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout))
        for code in (LISTED, f"{statement}; {LISTED}")
    )
    return after - before


def test_importing_the_verifier_loads_two_libraries_and_nothing_of_the_server() -> None:
    loaded = modules_after("import authsrv.verify")
    ours = {name for name in loaded if name.startswith("authsrv")}
    assert ours == {"authsrv", *(f"authsrv.{name}" for name in NOUNS), *(f"authsrv.verify.{name}" for name in LIGHT)}
    foreign = {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names) - {"authsrv"}
    assert {name for name in foreign if not name.startswith("_")} == {"jwt", "cryptography"}


@pytest.mark.parametrize("library", ["starlette", "httpx"])
def test_the_dependency_for_web_frameworks_adds_starlette_and_no_more(library: str) -> None:
    loaded = modules_after("import authsrv.verify.web")
    assert (library in loaded) is (library == "starlette")
    assert "authsrv.errors" not in loaded
