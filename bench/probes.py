"""Every probe of a full run, in the order of the text. A new one is a module beside this and a line here."""

from bench.calls import Calls
from bench.disk import Disk
from bench.findings import Probe
from bench.first_sight import FirstSight
from bench.growth import Growth
from bench.imports import Imports
from bench.instruments import Instruments
from bench.profiles import Profiles
from bench.sizes import Sizes
from bench.starts import Starts
from bench.tails import Sweeping, Tails
from bench.wrk import SecondOpinion

PROBES: tuple[Probe, ...] = (
    Disk(),
    Starts(),
    Imports(),
    Calls(),
    FirstSight(),
    Instruments(),
    Sizes(),
    Profiles(),
    SecondOpinion(),
    Growth(),
    Tails(),
    Sweeping(),
)
