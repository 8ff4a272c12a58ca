"""A guest's secret: what it looks like, how one is made, and what may be known of it afterwards.

Knows no request and no setting.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Final

PREFIX: Final = "authsrv_guest_"
"""By which scanners know such a secret wherever it was left behind."""
_FORM = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")


def new_secret(random: Callable[[int], bytes]) -> str:
    """A secret of 256 bits. `random` gives that many unpredictable bytes."""
    return PREFIX + _encoded(random(32))


def is_secret(text: str) -> bool:
    """Whether a text has the shape of a secret."""
    return _FORM.fullmatch(text) is not None


def subject_of(secret: str) -> str:
    """The guest whose secret it is: its SHA-256 in base64url. A slow hash would guard what nobody can guess anyway."""
    return _encoded(sha256(secret.encode()).digest())


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
