"""What ends all that a restored database has given out, upon the memory backend's tables.

The model that `cutting.py` is held against. Knows no transaction.
"""

from collections.abc import Collection
from dataclasses import replace

from authsrv.models import Reservation
from authsrv.storage.base import RESTORED, Cut
from authsrv.storage.memory.tables import Tables, end_grants
from authsrv.storage.rows.base import required


def cut(tables: Tables, projects: Collection[str], now: int) -> Cut:
    """End everything; what it was."""
    grants = [grant for grant in tables.grants.values() if grant.revoked_at is None]
    tables.grants.update({grant.id: replace(grant, refresh_successor=None) for grant in grants})
    end_grants(tables, lambda _: True, now, RESTORED)
    sessions = {one.id: one for one in tables.sessions.values() if one.ended_at is None}
    tables.sessions.update({id_: replace(one, ended_at=now, ended_reason=RESTORED) for id_, one in sessions.items()})
    known = [row for row in tables.reservations.values() if row.state != "refused" or row.identity]
    tables.reservations.update({row.digest: _refused(row) for row in known})
    done = Cut(len(grants), len(sessions), len(tables.requests), len(tables.link_codes), len(known))
    tables.browsers, tables.requests, tables.trips, tables.link_codes, tables.leases = {}, {}, {}, {}, {}
    for project in {*(required("project", one) for one in projects), *_projects(tables)}:
        tables.raise_not_before("project", project, now + 1)
    tables.versions[RESTORED] = max(now, tables.versions.get(RESTORED, now))
    return done


def _refused(row: Reservation) -> Reservation:
    return replace(row, state="refused", outcome="", grant_id=0, identity=None)


def _projects(tables: Tables) -> set[str]:
    found = {
        *(player.project for player in tables.players.values()),
        *(stored.client.project for stored in tables.clients.values()),
        *(client.project for client in tables.registered.values()),
    }
    return found - {""}
