"""Every system of a full run, in the order of the table. A new one is a module beside this and a line here."""

from bench.systems.authsrv import Authsrv
from bench.systems.base import System
from bench.systems.floor import Floor

SYSTEMS: dict[str, type[System]] = {
    "authsrv": Authsrv,
    "floor": Floor,
}
"""By the name that `--systems` takes."""
