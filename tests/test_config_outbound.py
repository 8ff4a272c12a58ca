"""Which addresses the configuration lets the server call: back-channel logout, and the exceptions in [outbound]."""

import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from authsrv.config import load
from tests.support.configuration import WEB, problems, set_environment, written
from tests.support.throwaway_ca import throwaway_ca

DEV = "dev = true\n"
BACKCHANNEL = "projects.p.clients.web.backchannel_logout_uri"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)


def told_at(url: str, *allow: str) -> str:
    """A client that is told of logouts at this address, and the exceptions of the file."""
    return WEB + f"backchannel_logout_uri = '{url}'\n[outbound]\nallow = {list(allow)}\n"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(told_at("https://web.example/bye?from=us"), id="https"),
        pytest.param(told_at("https://10.0.0.7:8443/bye", "10.0.0.7:8443"), id="G14 own network"),
        pytest.param(told_at("https://shop.local/bye", "shop.local:443"), id="G14 default port"),
        pytest.param(told_at("https://[fd00::7]/bye", "[fd00::7]:443"), id="G14 IPv6"),
        pytest.param(DEV + told_at("http://127.0.0.1:3000/bye", "127.0.0.1:3000"), id="http in development"),
        pytest.param(DEV + told_at("http://localhost/bye", "localhost:80"), id="http on localhost in development"),
    ],
)
def test_sound_addresses_are_read(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text) == []


USE_HTTPS = "use https; http works with dev = true only"
OR_ALLOW = ', or, inside your own network, name its "host:port" in outbound.allow'
MISTAKES = [
    pytest.param(
        told_at("http://web.example/bye"), "plain http can be read and changed on its way", USE_HTTPS, id="K3 http"
    ),
    pytest.param(
        told_at("http://10.0.0.7/bye", "10.0.0.7:80"),
        "plain http can be read and changed on its way",
        USE_HTTPS,
        id="K3 http in the own network",
    ),
    pytest.param(
        DEV + told_at("http://127.0.0.1:3000/bye"),
        "plain http can be read and changed on its way",
        "use https" + OR_ALLOW,
        id="G14 http in development",
    ),
    pytest.param(
        DEV + told_at("http://127.0.0.1:3000/bye", "127.0.0.1:3001"),
        "plain http can be read and changed on its way",
        "use https" + OR_ALLOW,
        id="G14 another port",
    ),
    pytest.param(
        told_at("https://10.0.0.7/bye"),
        "the address is not on the public Internet",
        "use a public host" + OR_ALLOW,
        id="G14 private address",
    ),
    pytest.param(
        told_at("https://169.254.169.254/latest/meta-data"),
        "the address is not on the public Internet",
        "use a public host" + OR_ALLOW,
        id="G14 metadata service",
    ),
    pytest.param(
        told_at("https://localhost:8443/bye"),
        "localhost is this server itself",
        "use a host on the public Internet" + OR_ALLOW,
        id="G14 localhost",
    ),
    pytest.param(
        told_at("https://web.example/bye#x"),
        "the URL has a fragment",
        "remove the # and what follows it",
        id="K2 fragment",
    ),
    pytest.param(
        told_at("https://me@web.example/bye"),
        "the URL has a user name before its host",
        "remove it, and the @",
        id="user name",
    ),
    pytest.param(
        told_at("https://0x7f000001/bye"),
        "the host is an address in a notation that programs read differently",
        "write a name",
        id="G14 hexadecimal address",
    ),
    pytest.param(
        told_at("ftp://web.example/bye"),
        "the URL has no valid scheme, host and port",
        "write https://host/path, the host in lower case",
        id="scheme",
    ),
]


@pytest.mark.parametrize(("text", "what", "remedy"), MISTAKES)
def test_a_backchannel_logout_uri_that_the_server_would_not_call_is_refused(
    tmp_path: Path, text: str, what: str, remedy: str
) -> None:
    [problem] = problems(tmp_path, text)
    assert (problem.key, problem.what, problem.remedy) == (BACKCHANNEL, what, remedy)


@pytest.mark.parametrize(
    "entry",
    [
        "web.example",
        "https://web.example:443",
        "web.example:443/",
        "Web.example:443",
        "fd00::7:443",
        "*:443",
        "a:0",
        "",
    ],
)
def test_an_exception_is_a_host_with_a_port(tmp_path: Path, entry: str) -> None:
    [problem] = problems(tmp_path, WEB + f"[outbound]\nallow = ['a.example:1', '{entry}']")
    assert problem.key == "outbound.allow[1]"
    assert problem.what == "this is not a host with a port"
    assert problem.remedy == 'write "host:port", the host in lower case, an IPv6 address in brackets'


def test_an_exception_stands_there_once(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, WEB + "[outbound]\nallow = ['a.example:1', 'a.example:1']")
    assert (problem.key, problem.what) == ("outbound.allow[1]", "the address stands here twice")


def test_exceptions_that_could_not_be_read_are_reported_once(tmp_path: Path) -> None:
    text = WEB + "backchannel_logout_uri = 'https://10.0.0.7/bye'\n[outbound]\nallow = '10.0.0.7:443'"
    assert [problem.key for problem in problems(tmp_path, text)] == ["outbound.allow"]


def test_a_certificate_authority_of_the_own_network_is_read(tmp_path: Path) -> None:
    authority = throwaway_ca(tmp_path).file
    config = load(written(tmp_path, WEB + f"[outbound]\nextra_ca = '{authority}'"))
    assert config.outbound.extra_ca == str(authority)


KEY_ONLY = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
BROKEN = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="empty"),
        pytest.param(KEY_ONLY, id="a key"),
        pytest.param(BROKEN, id="a broken certificate"),
        pytest.param("\0" * 100, id="no text"),
    ],
)
def test_a_file_without_certificates_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "ca.pem").write_text(content)
    [problem] = problems(tmp_path, WEB + f"[outbound]\nextra_ca = '{tmp_path}/ca.pem'")
    assert (problem.key, problem.what, problem.remedy) == (
        "outbound.extra_ca",
        "the file holds no certificate",
        "write the authority's certificate into it, in PEM",
    )


def test_a_list_of_revoked_certificates_is_no_certificate(tmp_path: Path) -> None:
    begin = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    revoked = x509.CertificateRevocationListBuilder().issuer_name(x509.Name([])).last_update(begin)
    signed = revoked.next_update(begin + dt.timedelta(days=1)).sign(throwaway_ca(tmp_path).key, hashes.SHA256())
    (tmp_path / "crl.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    [problem] = problems(tmp_path, WEB + f"[outbound]\nextra_ca = '{tmp_path}/crl.pem'")
    assert (problem.key, problem.what) == ("outbound.extra_ca", "the file holds no certificate")


@pytest.mark.parametrize("name", ["none.pem", ".", "\\u0000"])
def test_certificates_that_cannot_be_read_are_refused(tmp_path: Path, name: str) -> None:
    [problem] = problems(tmp_path, WEB + f'[outbound]\nextra_ca = "{tmp_path}/{name}"')
    assert (problem.key, problem.what) == ("outbound.extra_ca", "the file cannot be read")
