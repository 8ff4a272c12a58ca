"""C32: where the keys of platforms are fetched, and that nobody can have them fetched elsewhere."""

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from authsrv.emulator.host import platform_settings
from authsrv.outbound.client import HttpOutbound
from authsrv.platforms import PLATFORMS
from authsrv.platforms.base import PlatformUnavailable
from authsrv.platforms.jwks import KeySource
from tests.support.fault_server import answer, serving
from tests.support.server import ManualClock, emulators

HOSTS = [("steam", ("partner", "public", "community")), ("xbox", ("keys", "xsts", "login", "user"))]
HOSTS += [("epicgames", ("api", "www"))]
ELSEWHERE = ("file:///etc/passwd", "ftp://a.test", "data:,x", "//a.test", "https://u@a.test", "https://a.test/?x")


def faults(platform: str, block: Mapping[str, Any], *, dev: bool = True) -> list[str]:
    try:
        return list(PLATFORMS[platform].Settings.model_validate(block).problems(dev=dev))
    except ValidationError as error:
        return [str(fault["loc"]) for fault in error.errors()]


@pytest.mark.parametrize(("platform", "names"), HOSTS)
def test_C32_a_host_is_an_address_of_the_web_and_in_production_the_platforms_own(
    platform: str, names: tuple[str, ...]
) -> None:
    block = platform_settings(list(emulators(ManualClock()).values()), "http://127.0.0.1:8090")[platform]
    assert faults(platform, block) == []
    assert [fault for fault in faults(platform, block, dev=False) if "hosts" in fault]
    assert set(PLATFORMS[platform].Settings.model_validate(block).model_dump()["hosts"]) == set(names)
    for name in names:
        for url in ELSEWHERE:
            changed = {**block, "hosts": {**block["hosts"], name: url}}
            assert [fault for fault in faults(platform, changed) if name in fault], url


async def test_C32_a_key_address_that_redirects_is_one_that_does_not_answer() -> None:
    async with serving(answer("302 Found", b"", "Location: /elsewhere"), answer("200 OK", b'{"keys": []}')) as server:
        outbound = HttpOutbound("test", allowed=[server.base], clock=ManualClock())
        source = KeySource(f"{server.base}/keys", outbound, ManualClock(), lambda _: {"a": "key"})
        with pytest.raises(PlatformUnavailable):
            await source.key("a")
        await outbound.aclose()
        assert len(server.requests) == 1
