"""The documentation and the annotated example know every setting, and nothing that is none."""

import datetime as dt
import re
import tomllib
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from authsrv.config import all_settings, json_schema, load

ROOT = Path(__file__).parent.parent
EXAMPLE = (ROOT / "authsrv.example.toml").read_text(encoding="utf-8")
WRITTEN = dt.datetime(2026, 12, 1, tzinfo=dt.UTC).timestamp()
"""When the example's secrets were all good."""
DOCUMENT = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")

_HEADING = re.compile(r"### `\[(.+)\]`")
_ROW = re.compile(r"\| `([a-z0-9_]+)` \|")
_SWITCHED_OFF = re.compile(r"^( *)# (?=\[projects|[a-z_]+ = |\{ key)", re.MULTILINE)
EVERYTHING_ON = _SWITCHED_OFF.sub(r"\1", EXAMPLE)
_NAMES: Mapping[str, str] = {
    "ID": "KEY",
    "skyforge": "KEY",
    "launcher": "KEY",
    "shop": "KEY",
    "site": "KEY",
    "backend": "KEY",
    "40": "KEY",
}


@pytest.fixture(scope="module")
def key_pair() -> tuple[bytes, bytes]:
    """An RSA key and a certificate for it, both in PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "studio.example")])
    begin = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    no_password = serialization.NoEncryption()
    return key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, no_password), certificate.public_bytes(
        encoding
    )


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key_pair: tuple[bytes, bytes]) -> Path:
    """A directory and an environment with the secrets that the example names."""
    for name in re.findall(r'\{ env = "([A-Z_]+)" \}', EXAMPLE):
        monkeypatch.setenv(name, sha256(name.encode()).hexdigest())
    monkeypatch.setenv("STEAM_WEB_API_KEY", "0123456789abcdef" * 2)
    monkeypatch.delenv("AUTHLIB_INSECURE_TRANSPORT", raising=False)
    (tmp_path / "secrets").mkdir()
    for name in ("xbox-rp.key", "xbox-rp-old.key"):
        (tmp_path / "secrets" / name).write_bytes(key_pair[0])
    for name in ("xbox-rp.cer", "studio-ca.pem"):
        (tmp_path / "secrets" / name).write_bytes(key_pair[1])
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "skyforge.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "switched_on"),
    [pytest.param(EXAMPLE, set(), id="as it is"), pytest.param(EVERYTHING_ON, {"guest"}, id="everything on")],
)
def test_the_example_is_a_sound_configuration(studio: Path, text: str, switched_on: set[str]) -> None:
    path = studio / "authsrv.toml"
    path.write_text(text, encoding="utf-8")
    config = load(path, clock=lambda: WRITTEN)
    assert set(config.clients()) == {"launcher", "shop", "site", "backend", "40"}
    assert set(config.projects["skyforge"].platforms) == {"steam", "xbox", "epicgames"} | switched_on
    assert [warning.what for warning in config.warnings if "encrypted app tickets" not in warning.what] == []


def test_the_example_shows_every_setting() -> None:
    shown = set(_keys(tomllib.loads(EVERYTHING_ON), ()))
    assert [".".join(path) for path in _settings() if path not in shown] == []


def test_the_document_has_a_row_for_every_setting_and_no_other() -> None:
    documented = set(_documented(DOCUMENT))
    assert [path for path in _settings() if not _is_block(path) and path not in documented] == []
    assert documented - set(_settings()) == set()


def test_the_document_has_a_heading_for_every_block() -> None:
    headings = {_path(heading) for heading in _HEADING.findall(DOCUMENT)}
    containers = {("projects",), ("projects", "KEY", "platforms"), ("projects", "KEY", "clients")}
    assert [path for path in _settings() if _is_block(path) and path not in headings | containers] == []


def test_the_document_tells_every_default() -> None:
    wrong = [
        f"{'.'.join(path)}: {default}"
        for path, default in _defaults().items()
        if f"| `{default}` |" not in _row_of(path)
    ]
    assert wrong == []


def _settings() -> list[tuple[str, ...]]:
    """All settings; those that one Steam app may repeat stand for themselves in the block of all apps."""
    return [path for path in all_settings() if "apps" not in path]


def _is_block(path: tuple[str, ...]) -> bool:
    return _takes_no_key(path) or any(other[: len(path)] == path and other != path for other in _settings())


def _takes_no_key(path: tuple[str, ...]) -> bool:
    """Whether it is a table that says something by being there."""
    schema = json_schema()
    node = _resolved(schema, _node(schema, path))
    return node.get("additionalProperties") is False and not node.get("properties")


def _documented(text: str) -> Iterator[tuple[str, ...]]:
    block: tuple[str, ...] = ()
    for line in text.splitlines():
        if heading := _HEADING.fullmatch(line):
            block = _path(heading[1])
        if row := _ROW.match(line):
            yield (*block, row[1])


def _row_of(path: tuple[str, ...]) -> str:
    section = DOCUMENT
    if len(path) > 1:
        written = ".".join(path[:-1]).replace("clients.KEY", "clients.ID")
        section = DOCUMENT.partition(f"### `[{written}]`")[2]
    return next((line for line in section.splitlines() if line.startswith(f"| `{path[-1]}` |")), "")


def _defaults() -> dict[tuple[str, ...], str]:
    """The numbers, switches and choices that a setting has when it is left out."""
    found = {path: _default(path) for path in _settings() if not _is_block(path)}
    return {path: _toml(value) for path, value in found.items() if isinstance(value, int | str) and _is_short(value)}


def _default(path: tuple[str, ...]) -> Any:
    return _node(json_schema(), path).get("default")


def _node(schema: Any, path: tuple[str, ...]) -> Any:
    """What the schema says at a path; of a list, about what stands in it."""
    node: Any = schema
    for part in path:
        node = _resolved(schema, node)
        node = _resolved(schema, node.get("items", node))
        node = node["additionalProperties"] if part == "KEY" else node["properties"][part]
    return node


def _resolved(schema: Any, node: Any) -> Any:
    node = next((option for option in node.get("anyOf", ()) if "$ref" in option), node)
    return schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node


def _is_short(value: Any) -> bool:
    return value != "" and len(str(value)) < 80


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _path(heading: str) -> tuple[str, ...]:
    return tuple(_NAMES.get(part, part) for part in heading.split("."))


def _keys(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(value, list):
        for item in value:
            yield from _keys(item, path)
    if not isinstance(value, dict):
        return
    for key, below in value.items():
        inside: tuple[str, ...] = (*path, _NAMES.get(key, key))
        yield inside
        yield from _keys(below, inside)
