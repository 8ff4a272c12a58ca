"""Stock, plan, process trees, the machine in words, what wrk says, and proofs that are made without the emulator."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bench.credentials import MADE_UP, epic_id_tokens, steam_player, steam_tickets
from bench.machine import machine
from bench.plan import Plan, plan
from bench.rounds import Extent
from bench.servers import ProcessTree, free_ports
from bench.stock import Stock
from bench.systems.registry import SYSTEMS
from bench.workloads import CODE_EXCHANGE, REFRESH, WORKLOADS
from bench.wrk import read_rate

BUSY = "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass"


def test_a_stock_gives_everything_once_and_in_order() -> None:
    stock = Stock("abcde")
    assert [stock.take(2), stock.take(2), stock.take(2), stock.take(2)] == ["ab", "cd", "e", ""]


@pytest.mark.parametrize("quick", [True, False])
def test_the_stock_suffices_for_every_round_and_its_warm_up(quick: bool) -> None:
    run = plan(quick=quick, only="")
    exchanges = [cell for cell in run.cells if cell.workload is CODE_EXCHANGE and cell.algorithm == "ES256"]
    refreshes = [cell for cell in run.cells if cell.workload is REFRESH and cell.algorithm == "ES256"]
    each = run.extent.requests + run.extent.warm_up_requests
    assert run.wanted().codes == run.repetitions * each * len(exchanges)
    assert run.wanted().refresh_tokens == run.repetitions * 2 * sum(cell.connections for cell in refreshes)


def test_a_full_run_has_every_kind_of_request_and_at_least_five_repetitions() -> None:
    run = plan(quick=False, only="")
    assert {cell.workload for cell in run.cells} == set(WORKLOADS)
    assert run.repetitions >= 5
    assert {cell.connections for cell in run.cells if cell.workload is REFRESH} == {1, 32, 256}
    assert [cell.name for cell in plan(quick=True, only="login").cells] == ["silent login"]


def test_no_repetition_begins_that_would_end_too_late() -> None:
    run = Plan([], 5, Extent(1, 1.0), minutes=1)
    assert [
        run.has_time(0, 100),
        run.has_time(1, 30),
        run.has_time(1, 31),
        run.has_time(2, 40),
        run.has_time(2, 41),
    ] == [
        True,
        True,
        False,
        True,
        False,
    ]


def test_every_system_says_what_it_is() -> None:
    described = [SYSTEMS[key]() for key in SYSTEMS]
    assert all(system.name and system.durability for system in described)
    assert len({system.name for system in described}) == len(described)


def test_a_process_tree_has_the_cpu_of_its_children_also_after_they_ended() -> None:
    code = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BUSY!r}])\nprint(flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        tree = ProcessTree(process.pid)
        assert tree.cpu_seconds() >= 0.2
        assert tree.rss() > 1
        process.kill()
    assert (ProcessTree(process.pid).cpu_seconds(), ProcessTree(process.pid).rss()) == (0, 0)


def test_a_process_tree_has_the_memory_of_children_that_run() -> None:
    alone, both = (
        "input()",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'print(flush=True); input()'])",
    )
    assert _memory(both) > 1.5 * _memory(alone.replace("input()", "print(flush=True); input()"))


def _memory(code: str) -> float:
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = ProcessTree(process.pid).rss()
        process.communicate(b"\n")
    return found


def test_ports_are_free_and_given_once() -> None:
    given = free_ports(50)
    listening = [socket.create_server(("127.0.0.1", port)) for port in given]
    assert len({*given, *free_ports(50)}) == 100
    for each in listening:
        each.close()


def test_the_machine_is_told_in_words() -> None:
    told = machine(Path(__file__).parent)
    assert f"{os.cpu_count()} cores" in told["processor"]
    assert all(told.values())


def test_what_wrk_says_is_a_rate_unless_answers_were_wrong() -> None:
    said = "Running 3s test\n  5973 requests in 3.00s\nRequests/sec:   1991.04\nTransfer/sec: 1MB\n"
    assert read_rate(said) == 1991.04
    for wrong in ("", "  Non-2xx or 3xx responses: 12\n" + said):
        with pytest.raises(ValueError, match="wrk"):
            read_rate(wrong)


def test_proofs_are_of_many_players_and_each_ticket_is_another(tmp_path: Path) -> None:
    from authsrv.emulator import host  # noqa: PLC0415 - makes keys, which the other tests here need not wait for

    host.load_or_generate(tmp_path)
    tickets = steam_tickets(tmp_path, MADE_UP + 1)
    assert len(set(tickets)) == MADE_UP + 1
    assert len({steam_player(ticket) for ticket in tickets}) == MADE_UP
    assert len(set(epic_id_tokens(tmp_path))) == MADE_UP
