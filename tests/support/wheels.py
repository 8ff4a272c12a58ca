"""Wheels made of what is installed, so that an installation can be tried where there is no network."""

import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def needed(*requirements: str) -> Iterator[Distribution]:
    """The installed distributions that satisfy these requirements, with everything that they need in turn."""
    waiting = [Requirement(text) for text in requirements]
    seen: set[tuple[str, str]] = set()
    given: set[str] = set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name not in given:
            given.add(name)
            yield distribution(name)
        for extra in ("", *wanted.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += _asked_by(distribution(name), extra)


def _asked_by(found: Distribution, extra: str) -> list[Requirement]:
    asked = [Requirement(text) for text in found.requires or ()]
    return [one for one in asked if one.marker is None or one.marker.evaluate({"extra": extra})]


def make_wheel(found: Distribution, directory: Path) -> Path:
    """The wheel that an installed distribution came from, but for programs, which pip makes by itself."""
    wheel = directory / f"{_stem(found)}-{_tag(found)}.whl"
    lines = []
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in _contents(found):
            archive.writestr(name, content)
            digest = urlsafe_b64encode(sha256(content).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(content)}")
        record = next(name for name, _ in _contents(found) if name.endswith("/METADATA")).replace("METADATA", "RECORD")
        archive.writestr(record, "\n".join((*lines, f"{record},,", "")))
    return wheel


def _contents(found: Distribution) -> Iterator[tuple[str, bytes]]:
    made_by_pip = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
    for file in found.files or ():
        if ".." not in file.parts and "__pycache__" not in file.parts and file.name not in made_by_pip:
            yield file.as_posix(), Path(str(file.locate())).read_bytes()


def _stem(found: Distribution) -> str:
    return f"{canonicalize_name(found.name).replace('-', '_')}-{found.version}"


def _tag(found: Distribution) -> str:
    tags = [line.partition(": ")[2] for line in (found.read_text("WHEEL") or "").splitlines() if line.startswith("Tag")]
    parts = zip(*(tag.split("-") for tag in tags), strict=True)
    return "-".join(".".join(dict.fromkeys(part)) for part in parts)
