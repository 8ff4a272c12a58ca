"""Backups and what follows a restore, put together: storage, keys and the erasure of whoever came back.

Owns the order of the steps: whatever can be served is cut, and holds nobody who was erased. Knows no command line.
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from authsrv.account_models import Erasure
from authsrv.app import World, create_app
from authsrv.audit import AuditEvent
from authsrv.config import Config
from authsrv.log import Emit
from authsrv.oauth.key_material import KeyRingError
from authsrv.platforms.base import Clock
from authsrv.storage.base import Cut, StorageError
from authsrv.storage.erasure_ledger import ErasureLedger, read_ledgers
from authsrv.storage.files import create, path_of, refuse_network, tighten
from authsrv.storage.lock import ProcessLock
from authsrv.storage.migrate import migrate
from authsrv.storage.sqlite_backup import write_backup
from authsrv.storage.sqlite_restore import cut_file, holds_players, present, put_in_place, take_in
from authsrv.storage.sqlite_start import StartMark


@dataclass(frozen=True, slots=True)
class Plan:
    """How a restore is meant. `erasures` are ledgers, files or directories of them, besides the database's own. With
    `replace` a database that was served is moved aside. With `preview` nothing is changed that anybody could serve.
    """

    erasures: tuple[Path, ...] = ()
    replace: bool = False
    preview: bool = False


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done, or would be: `revision` is the schema that the backup had, `erased` how many players came back who
    had been erased, `aside` where the database before is now.
    """

    cut: Cut
    erased: int
    revision: str = ""
    aside: Path | None = None


class RestoreRefused(Exception):
    """It was not done. The text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Restorer:
    """Restores the database of a configuration. `emit` takes the audit events."""

    config: Config
    emit: Emit
    clock: Clock = time.time

    def back_up(self, backup: Path) -> int:
        """Write a backup of the database as it is at this moment, served or not; its size in bytes."""
        with _refusing():
            write_backup(self._path(), backup)
        return backup.stat().st_size

    def restore(self, backup: Path, plan: Plan) -> Restored:
        """Make the database of a backup."""
        path = self._path()
        with _refusing():
            if plan.preview:
                with tempfile.TemporaryDirectory(prefix="authsrv-restore-") as directory:
                    return self._prepared(backup, Path(directory) / path.name, plan)
            create(path)
            refuse_network(path)
            with ProcessLock(path):
                _refuse_served_before(path, plan)
                return self._restored(backup, path, plan)

    def restored(self, plan: Plan) -> Restored:
        """End what a database brought back that was restored by other means."""
        path = self._path()
        with _refusing():
            if not plan.preview:
                migrate(self.config.database.url.get_secret_value())
            known = self._known_erasures(path, plan)
            done = cut_file(path, list(self.config.projects), self._now(), preview=plan.preview)
            erased = present(path, known)
            if not plan.preview:
                _note(path, known)
                asyncio.run(self._settle(path))
        return Restored(done, erased)

    def _restored(self, backup: Path, path: Path, plan: Plan) -> Restored:
        with _room(path) as room:
            made = self._prepared(backup, room / path.name, plan)
            known = self._known_erasures(path, plan)
            aside = put_in_place(room / path.name, path)
            tighten(path)
            _note(path, known)
        return Restored(made.cut, made.erased, made.revision, aside)

    def _prepared(self, backup: Path, work: Path, plan: Plan) -> Restored:
        """A file that could be served as it is."""
        revision = take_in(backup, work)
        above = StartMark(self._path()).known()
        done = cut_file(work, list(self.config.projects), self._now(), above=above)
        known = self._known_erasures(self._path(), plan)
        erased = present(work, known)
        _note(work, known)
        asyncio.run(self._settle(work))
        return Restored(done, erased, revision)

    async def _settle(self, path: Path) -> None:
        """Open the database as the server does: its keys must be usable, and whoever was erased is erased again."""
        database = self.config.database.model_copy(update={"url": SecretStr(f"sqlite:///{path}")})
        config = self.config.model_copy(update={"database": database})
        async with create_app(config, World(clock=self.clock, emit=self.emit)).opened() as desk:
            desk.server.audit.record(AuditEvent("database.restored"))

    def _known_erasures(self, path: Path, plan: Plan) -> Mapping[str, int]:
        return {**ErasureLedger.beside(path).read(), **read_ledgers(plan.erasures)}

    def _path(self) -> Path:
        return path_of(self.config.database.url.get_secret_value())

    def _now(self) -> int:
        return int(self.clock())


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except (StorageError, KeyRingError) as error:
        raise RestoreRefused(str(error)) from error
    except OSError as error:
        raise RestoreRefused(f"{error.strerror}: {error.filename}") from error


def _refuse_served_before(path: Path, plan: Plan) -> None:
    if holds_players(path) and not plan.replace:
        raise StorageError(
            f"{path} was served before; with --replace it is moved aside, and stays there until you remove it"
        )


@contextmanager
def _room(path: Path) -> Iterator[Path]:
    """A directory on the database's disk for what is not finished; what a killed restore left there goes first."""
    room = path.with_name(f"{path.name}.restoring")
    shutil.rmtree(room, ignore_errors=True)
    room.mkdir(mode=0o700)
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _note(path: Path, known: Mapping[str, int]) -> None:
    """Let the ledger of a database know what others know."""
    ledger = ErasureLedger.beside(path)
    noted = ledger.read()
    missing = [Erasure(sub, at) for sub, at in known.items() if sub not in noted]
    if missing:
        ledger.add(missing)
