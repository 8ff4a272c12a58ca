"""What a run prepares is what its rounds use up."""

import pytest

from bench.plan import plan


@pytest.mark.parametrize("only", ["code exchange, ES256", "code exchange, RS256"])
def test_one_row_alone_has_its_codes(only: str) -> None:
    run = plan(quick=True, only=only)
    assert run.wanted().codes == run.extent.requests + run.extent.warm_up_requests


@pytest.mark.parametrize("only", ["refresh, ES256", "refresh, RS256"])
def test_one_row_alone_has_its_chains_for_warming_up_and_for_measuring(only: str) -> None:
    run = plan(quick=True, only=only)
    assert run.wanted().refresh_tokens == 2 * run.cells[0].connections


def test_a_full_run_has_codes_for_every_number_of_connections() -> None:
    run = plan(quick=False, only="code exchange, ES256")
    assert [cell.connections for cell in run.cells] == [32, 1, 256]
    assert run.wanted().codes == 3 * run.repetitions * (run.extent.requests + run.extent.warm_up_requests)
