import asyncio
import socket
import stat
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from authsrv.serving.control import MAX_LINE, ControlError, ControlServer, NotServing, call


async def echo(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"got": dict(arguments)}


async def refuse(_arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    raise ControlError("fix the file first")


async def fail(_arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    raise RuntimeError("inner secret")


async def hang(_arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    await asyncio.Event().wait()
    return {}


async def tell_much(_arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"much": "x" * (3 * MAX_LINE)}


async def refuse_with_a_code(_arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    raise ControlError("nobody is there", "unknown_player")


HANDLERS = {"much": tell_much, "coded": refuse_with_a_code, "echo": echo, "refuse": refuse, "fail": fail, "hang": hang}


@pytest.fixture
async def path(tmp_path: Path) -> AsyncIterator[Path]:
    server = ControlServer(tmp_path / "control.sock", HANDLERS)
    await server.start()
    yield tmp_path / "control.sock"
    await server.stop()


async def raw(path: Path, data: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(-1), 5)
    except ConnectionResetError:
        return b""  # closed with bytes of ours unread
    finally:
        writer.close()


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_command_gets_its_arguments_and_its_answer(path: Path) -> None:
    assert await call(path, "echo", project="skyforge", count=3) == {"got": {"project": "skyforge", "count": 3}}


async def test_only_the_owner_may_use_the_socket(path: Path) -> None:
    assert mode_of(path) == 0o600


async def test_a_refusal_reaches_the_caller_and_a_fault_keeps_its_cause(path: Path) -> None:
    with pytest.raises(ControlError, match=r"^fix the file first$"):
        await call(path, "refuse")
    with pytest.raises(ControlError, match="log has the cause"):
        await call(path, "fail")
    with pytest.raises(ControlError, match="knows: coded, echo, fail, hang, much, refuse"):
        await call(path, "dance")


async def test_a_refusal_brings_its_code_for_programs(path: Path) -> None:
    with pytest.raises(ControlError) as coded:
        await call(path, "coded")
    with pytest.raises(ControlError) as plain:
        await call(path, "refuse")
    assert (coded.value.code, plain.value.code) == ("unknown_player", "")


async def test_an_answer_may_be_longer_than_any_request(path: Path) -> None:
    assert len((await call(path, "much"))["much"]) == 3 * MAX_LINE


@pytest.mark.parametrize("line", [b"\n", b"{}\n", b"[]\n", b'{"command": 1}\n', b'{"command":"echo","arguments":[]}\n'])
async def test_a_line_that_is_no_request_is_refused(path: Path, line: bytes) -> None:
    assert b'"ok": false' in await raw(path, line)
    assert b'"ok": false' in await raw(path, b"[" * 100_000 + b"\n")


async def test_a_line_without_end_is_cut_off(path: Path) -> None:
    assert await raw(path, b"x" * (2 * MAX_LINE + 1)) == b""
    assert await call(path, "echo") == {"got": {}}


async def test_both_sides_give_up_at_their_deadline(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / "c", HANDLERS, deadline=0.05)
    await server.start()
    assert await raw(tmp_path / "c", b'{"command":"hang"}\n') == b""
    assert await raw(tmp_path / "c", b'{"comm') == b""
    with pytest.raises(ControlError):
        await call(tmp_path / "c", "hang")
    await server.stop()


async def test_a_caller_gives_up_too(path: Path) -> None:
    with pytest.raises(ControlError, match="in time"):
        await call(path, "hang", deadline=0.05)


async def test_nobody_serving_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(NotServing):
        await call(tmp_path / "absent", "echo")


async def test_the_socket_of_a_dead_server_is_replaced(tmp_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "c"))
    left.close()
    with pytest.raises(NotServing):
        await call(tmp_path / "c", "echo")
    server = ControlServer(tmp_path / "c", HANDLERS)
    await server.start()
    assert await call(tmp_path / "c", "echo") == {"got": {}}
    await server.stop()
    await server.stop()
    assert not (tmp_path / "c").exists()


async def test_a_living_server_and_a_foreign_file_are_left_alone(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="another server"):
        await ControlServer(path, HANDLERS).start()
    assert await call(path, "echo") == {"got": {}}
    (tmp_path / "file").write_text("kept")
    with pytest.raises(ControlError, match="no socket"):
        await ControlServer(tmp_path / "file", HANDLERS).start()
    assert (tmp_path / "file").read_text() == "kept"


async def test_a_path_that_cannot_be_bound_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="longer"):
        await ControlServer(tmp_path / ("x" * 200), HANDLERS).start()
    with pytest.raises(ControlError, match="cannot be made"):
        await ControlServer(tmp_path / "no" / "c", HANDLERS).start()
    (tmp_path / "file").write_text("kept")
    with pytest.raises(ControlError, match="cannot be made"):
        await ControlServer(tmp_path / "file" / "c", HANDLERS).start()
