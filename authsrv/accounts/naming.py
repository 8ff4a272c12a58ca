"""Which of a player's platform accounts a request means. Knows no HTTP framework and no platform by name."""

from collections.abc import Callable

from authsrv.account_models import Account, LinkedIdentity
from authsrv.errors import InvalidRequest, NotLinked
from authsrv.models import IdentityKey
from authsrv.records import dataclass


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request says of an identity. `kind` and `environment` are None unless they are given."""

    provider: str
    subject: str
    kind: str | None = None
    environment: str | None = None

    def is_meant(self, key: IdentityKey) -> bool:
        """Whether everything that is given is so, but for the provider."""
        kind, environment = key.kind, key.environment
        return (key.subject, self.kind or kind) == (self.subject, kind) and self.environment in {None, environment}


def found(account: Account, wanted: Wanted, provider_of: Callable[[str], str]) -> LinkedIdentity:
    """The identity of the account that is meant. Raises `NotLinked`, or `InvalidRequest` if it could be several."""
    own = [linked for linked in account.identities if provider_of(linked.key.kind) == wanted.provider]
    meant = [linked for linked in own if wanted.is_meant(linked.key)]
    if not meant:
        raise NotLinked
    if len(meant) > 1:
        raise InvalidRequest("Several platform accounts have this subject; add kind and environment.")
    return meant[0]
