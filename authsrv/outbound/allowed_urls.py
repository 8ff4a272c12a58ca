"""Which addresses a platform may be reached at: a fixed list of prefixes, compared as text.

Owns the guard against server-side request forgery (OWASP ASVS 5.0, 1.3.6). Knows no network; it resolves nothing.
"""

import re
from collections.abc import Iterator, Sequence

_PREFIX = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~-]+)*/?")
_BELOW = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]*)*(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?")
_DOT_SEGMENT = re.compile(r"/\.{1,2}(?=[/?]|\Z)")


class AllowedUrls:
    """A list of prefixes `scheme://host[:port][/path]`, all in lower case up to the path.

    Nothing is normalised, so nothing can be normalised differently elsewhere: scheme, host and port must be written
    exactly as in the prefix, and what follows may hold neither dot segments nor percent signs before the query.
    A plain http address is reachable only through a prefix that says http. Raises ValueError for a bad prefix.
    """

    def __init__(self, prefixes: Sequence[str]) -> None:
        for prefix in prefixes:
            if not _PREFIX.fullmatch(prefix) or _DOT_SEGMENT.search(prefix):
                raise ValueError(f"{prefix!r} is not an address prefix; write scheme://host[:port][/path]")
        self._prefixes = tuple(prefix.rstrip("/") for prefix in prefixes)

    def __contains__(self, url: str) -> bool:
        return self.prefix_of(url) is not None

    def __iter__(self) -> Iterator[str]:
        """The prefixes, without a slash at their ends."""
        return iter(self._prefixes)

    def prefix_of(self, url: str) -> str | None:
        """The longest prefix that the address lies below, or None if it is not allowed."""
        below = [prefix for prefix in self._prefixes if url.startswith(prefix) and _is_below(url[len(prefix) :])]
        return max(below, key=len, default=None)


def _is_below(rest: str) -> bool:
    return _BELOW.fullmatch(rest) is not None and not _DOT_SEGMENT.search(rest.partition("?")[0])
