"""How platforms are called: fixed addresses, limits, a bulkhead and a circuit breaker each. Knows no platform."""

import sys

# httpx imports its own command line wherever rich is installed, and rich is, beside typer: 70 modules, 4 MB. None makes
# that import fail, which httpx is prepared for.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # the import system's own convention
