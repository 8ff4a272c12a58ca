"""nginx and Caddy in front of servers on loopback, each with the file that docs/deploy/ shows.

Owns what must differ from those files for a test (addresses, ports, certificates), and the processes. Knows no
endpoint.
"""

import asyncio
import getpass
import grp
import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx

from tests.support.processes import free_port, listens
from tests.support.throwaway_ca import ThrowawayCa, throwaway_ca

DEPLOY = Path(__file__).parents[2] / "docs" / "deploy"
HOST = "login.studio.example"
NODES = ("10.77.0.11:8080", "10.77.0.12:8080", "10.77.0.13:8080")
"""The upstream servers of both files."""
SEARCHED = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
ENDS = 10.0
BEGINS = 500


@dataclass(frozen=True, slots=True)
class Place:
    """An empty directory of the proxy's own, the port that it listens on, and a certificate with its key, as PEM."""

    directory: Path
    port: int
    certificate: Path


class Proxy(Protocol):
    """A kind of proxy: `prepare` writes its files, `check` and `run` are its commands afterwards."""

    def prepare(self, place: Place, nodes: Sequence[int]) -> None:
        """Put the published file there, for nodes on these ports."""

    def check(self, place: Place) -> Sequence[str]:
        """The command that checks the file."""

    def run(self, place: Place) -> Sequence[str]:
        """The command that serves in the foreground until SIGTERM."""


class Nginx:
    """nginx, with a main file like that of the distributions."""

    def prepare(self, place: Place, nodes: Sequence[int]) -> None:
        site = _replaced(
            (DEPLOY / "nginx" / "authsrv.conf").read_text("utf-8"),
            {
                "listen 443 ssl": f"listen 127.0.0.1:{place.port} ssl",
                "/run/secrets/tls_certificate": str(place.certificate),
                "/run/secrets/tls_key": str(place.certificate),
                **_ports(nodes),
            },
        )
        (place.directory / "authsrv.conf").write_text(site, "utf-8")
        (place.directory / "nginx.conf").write_text(_main_file(place.directory), "utf-8")

    def check(self, place: Place) -> Sequence[str]:
        return (*self.run(place), "-t")

    def run(self, place: Place) -> Sequence[str]:
        files = ("-c", str(place.directory / "nginx.conf"), "-p", str(place.directory))
        return (_program("nginx"), *files, "-e", "stderr")


class Caddy:
    """Caddy, without certificates of its own and without its administration port."""

    def prepare(self, place: Place, nodes: Sequence[int]) -> None:
        own = f"admin off\n\tstorage file_system {place.directory}"
        pair = f"bind 127.0.0.1\n\ttls {place.certificate} {place.certificate}"
        site = _replaced(
            (DEPLOY / "caddy" / "Caddyfile").read_text("utf-8"),
            {
                "\tauto_https disable_redirects\n": f"\t{own}\n\tauto_https disable_redirects\n",
                f"\n{HOST} {{\n": f"\n{HOST}:{place.port} {{\n\t{pair}\n",
                **_ports(nodes),
            },
        )
        (place.directory / "Caddyfile").write_text(site, "utf-8")

    def check(self, place: Place) -> Sequence[str]:
        return self._command("validate", place)

    def run(self, place: Place) -> Sequence[str]:
        return self._command("run", place)

    def _command(self, verb: str, place: Place) -> Sequence[str]:
        return (_program("caddy"), verb, "--adapter", "caddyfile", "--config", str(place.directory / "Caddyfile"))


PROXIES: dict[str, Proxy] = {"nginx": Nginx(), "caddy": Caddy()}


@dataclass
class Front:
    """A proxy that serves. `client` asks it as the internet does, `said` is what it wrote to its outputs so far."""

    client: httpx.AsyncClient
    ca: ThrowawayCa
    port: int
    output: Path

    @property
    def said(self) -> str:
        return self.output.read_text("utf-8")


@asynccontextmanager
async def in_front(proxy: Proxy, directory: Path, nodes: Sequence[int]) -> AsyncIterator[Front]:
    """The proxy in front of three nodes on these ports, as soon as it listens."""
    place, ca = place_for(directory)
    proxy.prepare(place, nodes)
    with _process(proxy, place, directory / "output.txt") as process:
        await asyncio.to_thread(_wait_until_it_listens, process, place.port, directory / "output.txt")
        async with _client(place.port, ca) as client:
            yield Front(client, ca, place.port, directory / "output.txt")


def place_for(directory: Path) -> tuple[Place, ThrowawayCa]:
    """What a proxy needs to listen for the host of the published files, and who vouches for it."""
    for name in ("ca", "proxy"):
        (directory / name).mkdir()
    ca = throwaway_ca(directory / "ca")
    ca.server(HOST)
    certificate = next(file for file in (directory / "ca").iterdir() if file != ca.file)
    return Place(directory / "proxy", free_port(), certificate), ca


def at_home(place: Place) -> dict[str, str]:
    """The environment of its commands: Caddy keeps a copy of what it last ran below the home directory."""
    unset = ("XDG_CONFIG_HOME", "XDG_DATA_HOME")
    return {name: value for name, value in os.environ.items() if name not in unset} | {"HOME": str(place.directory)}


@contextmanager
def _process(proxy: Proxy, place: Place, output: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (
        output.open("w", encoding="utf-8") as file,
        subprocess.Popen(
            proxy.run(place),
            cwd=place.directory,
            env=at_home(place),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            process.wait(ENDS)


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    for _ in range(BEGINS):
        assert process.poll() is None, output.read_text("utf-8")
        if listens(port):
            return
        time.sleep(0.02)
    raise AssertionError(output.read_text("utf-8"))


class _Loopback(httpx.AsyncHTTPTransport):
    """Whatever host an address names, it is looked for at one port of this machine."""

    def __init__(self, port: int, **options: Any) -> None:
        super().__init__(**options)
        self._port = port

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions = {**request.extensions, "sni_hostname": request.url.host}
        request.url = request.url.copy_with(host="127.0.0.1", port=self._port)
        return await super().handle_async_request(request)


def _client(port: int, ca: ThrowawayCa) -> httpx.AsyncClient:
    trust = ssl.create_default_context(cafile=str(ca.file))
    return httpx.AsyncClient(transport=_Loopback(port, verify=trust), base_url=f"https://{HOST}", timeout=30)


def _replaced(text: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, f"the published file has no {old!r} any more"
        text = text.replace(old, new)
    return text


def _ports(nodes: Sequence[int]) -> dict[str, str]:
    return {node: f"127.0.0.1:{port}" for node, port in zip(NODES, nodes, strict=True)}


def _program(name: str) -> str:
    found = shutil.which(name, path=SEARCHED)
    assert found, f"there is no {name} on this machine"
    return found


def _main_file(directory: Path) -> str:
    # Workers give up root's rights unless told otherwise, and then cannot reach a directory that pytest made.
    user = f"user {getpass.getuser()} {grp.getgrgid(os.getgid()).gr_name};" if os.geteuid() == 0 else ""
    temporary = "".join(
        f"{kind}_temp_path {directory}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"{user}\ndaemon off;\nworker_processes 1;\npid {directory}/nginx.pid;\nevents {{ worker_connections 256; }}\n"
        f"http {{\n{temporary}include {directory}/authsrv.conf;\n}}\n"
    )


@dataclass
class FallingNode:
    """Reads every request whole and closes the connection without an answer, as a node does that dies at work.

    Says that it is ready whenever it is asked. `taken` are the first lines of the other requests.
    """

    port: int = 0
    taken: list[str] = field(default_factory=list)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request of one connection."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            if head.startswith("GET /health/"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            else:
                await reader.readexactly(_length(head))
                self.taken.append(head.partition("\r\n")[0])
        except asyncio.IncompleteReadError as cut_off:
            sys.stdout.write(f"a connection without a request: {cut_off}\n")
        finally:
            writer.close()


@asynccontextmanager
async def falling_node() -> AsyncIterator[FallingNode]:
    """One that listens."""
    node = FallingNode()
    async with await asyncio.start_server(node.take, "127.0.0.1", 0) as server:
        node.port = server.sockets[0].getsockname()[1]
        yield node


def _length(head: str) -> int:
    lines = (line.partition(":") for line in head.lower().splitlines())
    return next((int(value) for name, _, value in lines if name == "content-length"), 0)
