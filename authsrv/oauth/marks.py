"""Marks of platform accounts: what a ban remembers of one, so that it holds after the account itself is forgotten.

Owns how a mark is made. Knows no ban.
"""

import hmac

from authsrv.models import Digest, IdentityKey


class IdentityMarks:
    """Makes marks. `key` is a secret of this server: platform ids are few enough to be tried one by one."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, key: IdentityKey) -> Digest:
        """The mark of a platform account in one project; the same for ever."""
        text = "\0".join((key.project, key.kind, key.environment, key.subject))
        return Digest(hmac.digest(self._key, text.encode(), "sha256"))
