import pytest

from authsrv.outbound.allowed_urls import AllowedUrls

ALLOWED = AllowedUrls(["https://api.example", "https://keys.example:8443/v1/", "http://127.0.0.1:8090/steam"])


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example",
        "https://api.example/",
        "https://api.example/a/b.c?x=1&y=%2Fz",
        "https://api.example?x=1",
        "https://keys.example:8443/v1",
        "https://keys.example:8443/v1/keys",
        "http://127.0.0.1:8090/steam/IAuth/v1",
        "https://api.example/..a/b..",
    ],
)
def test_addresses_below_a_prefix_are_allowed(url: str) -> None:
    assert url in ALLOWED


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://api.example/", id="C32-plain-http"),
        pytest.param("file:///etc/passwd", id="C32-file"),
        pytest.param("https://api.example.evil.example/", id="longer-host"),
        pytest.param("https://api.example@evil.example/", id="userinfo-before-evil-host"),
        pytest.param("https://user:pw@api.example/", id="userinfo"),
        pytest.param("https://api.example:8443/", id="other-port"),
        pytest.param("https://api.example:443/", id="default-port-written-out"),
        pytest.param("https://keys.example/v1/keys", id="missing-port"),
        pytest.param("https://keys.example:8443/v1evil", id="prefix-ends-inside-a-segment"),
        pytest.param("https://keys.example:8443/v2/keys", id="other-path"),
        pytest.param("https://keys.example:8443/v1/../admin", id="dot-segment"),
        pytest.param("https://keys.example:8443/v1/..", id="dot-segment-at-the-end"),
        pytest.param("https://keys.example:8443/v1/./keys", id="single-dot"),
        pytest.param("https://keys.example:8443/v1/..?x=1", id="dot-segment-before-the-query"),
        pytest.param("https://keys.example:8443/v1/%2e%2e/admin", id="encoded-dot-segment"),
        pytest.param("https://keys.example:8443/v1/%2E./admin", id="half-encoded-dot-segment"),
        pytest.param("https://api.example/a%2fb", id="encoded-slash"),
        pytest.param("https://api.example\\@evil.example/", id="backslash"),
        pytest.param("https://api.example/a\\..\\b", id="backslash-in-path"),
        pytest.param("https://api.example/#fragment", id="fragment"),
        pytest.param("https://api.example/\r\nHost: evil", id="line-break"),
        pytest.param("https://api.example/a\n", id="line-break-at-the-end"),
        pytest.param("https://api.example/a b", id="space"),
        pytest.param("https://api.example/\u00e9", id="non-ascii"),
        pytest.param("HTTPS://api.example/", id="upper-case-scheme"),
        pytest.param("https://API.example/", id="upper-case-host"),
        pytest.param("https://api.example./", id="trailing-dot-in-host"),
        pytest.param("//api.example/", id="no-scheme"),
        pytest.param("", id="empty"),
    ],
)
def test_H10_everything_else_is_refused(url: str) -> None:
    assert url not in ALLOWED


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "api.example",
        "ftp://api.example",
        "https://",
        "https://user@api.example",
        "https://api.example/?x",
        "https://api.example/a/../b",
        "https://api.example/#x",
        "https://*",
        "https://api.example\n",
    ],
)
def test_a_prefix_that_is_no_prefix_is_refused_at_the_start(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        AllowedUrls([prefix])


def test_nothing_is_allowed_by_an_empty_list() -> None:
    assert "https://api.example/" not in AllowedUrls([])
