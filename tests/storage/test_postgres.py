"""The conformance suite on the PostgreSQL backend."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from authsrv.storage.base import Storage
from tests.conformance.counts import *  # noqa: F403 - the suite
from tests.conformance.storage import *  # noqa: F403 - the suite
from tests.conformance.storage_accounts import *  # noqa: F403 - the suite
from tests.conformance.storage_browsers import *  # noqa: F403 - the suite
from tests.conformance.storage_clients import *  # noqa: F403 - the suite
from tests.conformance.storage_consents import *  # noqa: F403 - the suite
from tests.conformance.storage_counts import *  # noqa: F403 - the suite
from tests.conformance.storage_cut import *  # noqa: F403 - the suite
from tests.conformance.storage_keys import *  # noqa: F403 - the suite
from tests.conformance.storage_nodes import *  # noqa: F403 - the suite
from tests.conformance.storage_privacy import *  # noqa: F403 - the suite
from tests.conformance.storage_races import *  # noqa: F403 - the suite
from tests.conformance.storage_refusals import *  # noqa: F403 - the suite
from tests.conformance.storage_revocations import *  # noqa: F403 - the suite
from tests.conformance.storage_sessions import *  # noqa: F403 - the suite
from tests.conformance.storage_sweep import *  # noqa: F403 - the suite
from tests.conformance.storage_trips import *  # noqa: F403 - the suite
from tests.support.storage import storage_on

pytestmark = pytest.mark.postgres


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with storage_on("postgres", tmp_path) as opened:
        yield opened
