"""Reloads that come together, by signal and by command, end with the file that was read last."""

import asyncio
import threading
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from authsrv import config as configuration
from authsrv.config import Config
from authsrv.serving.process import Process
from tests.support.server import running


async def test_H08_a_slow_reload_of_an_older_file_does_not_bring_a_removed_client_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blocks: list[dict[str, Any]] = []
    async with running(edit=lambda block: blocks.append(deepcopy(block))) as server:
        older, newer = Config.model_validate(blocks[0]), _without_launcher(blocks[0])
        files = iter((older, newer))
        reading, go_on = threading.Event(), threading.Event()

        def load(_: Path) -> Config:
            found = next(files)
            if found is older:
                reading.set()
                assert go_on.wait(5)
            return found

        monkeypatch.setattr(configuration, "load", load)
        process = Process(server.app, Path("authsrv.toml"))
        by_signal = asyncio.create_task(process.reload())
        assert await asyncio.to_thread(reading.wait, 5)
        by_command = asyncio.create_task(process._reload({}))
        await asyncio.wait({by_command}, timeout=0.2)
        go_on.set()
        await asyncio.gather(by_signal, by_command)
        assert "launcher" not in server.app.config.clients()
        assert server.app._registry.find("launcher", "standard") is None


def _without_launcher(block: dict[str, Any]) -> Config:
    changed = deepcopy(block)
    del changed["projects"]["demo"]["clients"]["launcher"]
    return Config.model_validate(changed)
