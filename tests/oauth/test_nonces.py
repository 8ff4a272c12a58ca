import os
from collections.abc import Callable

import pytest

from authsrv.errors import InvalidGrant
from authsrv.oauth.silent.nonces import LIFETIME, TicketNonces

NONCES = TicketNonces(bytes(range(32)), os.urandom)
PREDICTABLE = TicketNonces(bytes(range(32)), lambda length: b"\x55" * length)


def test_a_nonce_is_good_for_its_client_until_it_expires() -> None:
    nonce = NONCES.issue("game", 1000)
    NONCES.check("game", nonce, 1000 + LIFETIME - 1)
    with pytest.raises(InvalidGrant) as caught:
        NONCES.check("game", nonce, 1000 + LIFETIME)
    assert caught.value.reason == "credential_expired"


def test_two_nonces_differ() -> None:
    assert NONCES.issue("game", 1000) != NONCES.issue("game", 1000)


@pytest.mark.parametrize(
    "change", [lambda n: n[:-1] + "_", lambda n: "A" + n[1:], lambda n: n + "A", lambda _: "", str.lower]
)
def test_a_nonce_that_was_not_issued_to_the_client_is_refused(change: Callable[[str], str]) -> None:
    nonce = PREDICTABLE.issue("game", 1000)
    assert change(nonce) != nonce
    with pytest.raises(InvalidGrant):
        NONCES.check("game", change(nonce), 1000)
    with pytest.raises(InvalidGrant):
        NONCES.check("other", nonce, 1000)
