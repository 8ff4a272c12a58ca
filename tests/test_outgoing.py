"""What one connection sends, piece by piece."""

import asyncio
from unittest.mock import Mock, call

import pytest

from authsrv.serving.outgoing import Outgoing


@pytest.fixture
def transport() -> Mock:
    found = Mock(asyncio.Transport)
    found.is_closing.return_value = False
    return found


@pytest.fixture
async def outgoing(transport: Mock) -> Outgoing:
    return Outgoing(transport, asyncio.get_running_loop())


async def test_two_pieces_of_one_turn_leave_together(outgoing: Outgoing, transport: Mock) -> None:
    outgoing.write(b"head")
    outgoing.write(b"body")
    await asyncio.sleep(0)
    assert transport.mock_calls == [call.writelines((b"head", b"body"))]


async def test_a_piece_that_stays_alone_leaves_at_the_end_of_the_turn(outgoing: Outgoing, transport: Mock) -> None:
    outgoing.write(b"head")
    transport.write.assert_not_called()
    await asyncio.sleep(0)
    transport.write.assert_called_once_with(b"head")
    outgoing.write(b"body")
    await asyncio.sleep(0)
    assert transport.write.mock_calls == [call(b"head"), call(b"body")]


async def test_three_pieces_keep_their_order(outgoing: Outgoing, transport: Mock) -> None:
    for piece in (b"a", b"b", b"c"):
        outgoing.write(piece)
    outgoing.flush()
    assert transport.mock_calls == [call.writelines((b"a", b"b")), call.is_closing(), call.write(b"c")]


async def test_what_waits_is_sent_before_the_connection_closes(outgoing: Outgoing, transport: Mock) -> None:
    outgoing.write(b"head")
    outgoing.close()
    await asyncio.sleep(0)
    assert transport.mock_calls == [call.is_closing(), call.write(b"head"), call.close()]


async def test_nothing_is_sent_where_nothing_was_written(outgoing: Outgoing, transport: Mock) -> None:
    outgoing.write(b"")
    outgoing.flush()
    assert transport.mock_calls == []


async def test_what_waits_is_dropped_when_the_connection_has_gone(outgoing: Outgoing, transport: Mock) -> None:
    outgoing.write(b"head")
    transport.is_closing.return_value = True
    await asyncio.sleep(0)
    transport.write.assert_not_called()
    assert outgoing.is_closing()
