"""Backups and what follows a restore, put together: storage, keys and the erasure of whoever came back.

Owns the order of the steps: whatever can be served is cut, and holds nobody who was erased. Knows no command line.
"""

import asyncio
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from authsrv.account_models import Erasure
from authsrv.app import World, create_app
from authsrv.audit import Audit, AuditEvent
from authsrv.config import Config
from authsrv.database_url import Database, names_postgres
from authsrv.log import Emit, Event
from authsrv.oauth.key_material import KeyRingError
from authsrv.platforms.base import Clock
from authsrv.records import dataclass
from authsrv.storage import open_storage
from authsrv.storage.base import Cut, StorageError
from authsrv.storage.erasure_ledger import ErasureLedger, Ledger, LedgerDirectory, NoLedger, read_ledgers
from authsrv.storage.files import create, path_of, refuse_network, tighten
from authsrv.storage.lock import ProcessLock
from authsrv.storage.migrate import migrate
from authsrv.storage.moving.server_backup import fill_server, making_room, refuse_served, write_server_backup
from authsrv.storage.sqlite.backup import write_backup
from authsrv.storage.sqlite.restore import cut_file, hold_ids_back, holds_players, present, put_in_place, take_in
from authsrv.storage.sqlite.start import StartMark


@dataclass(frozen=True, slots=True)
class Plan:
    """How a restore is meant. `erasures` are ledgers, files or directories of them, besides the database's own. With
    `replace` a file that was served is moved aside. With `preview` nothing is changed that anybody could serve.
    """

    erasures: tuple[Path, ...] = ()
    replace: bool = False
    preview: bool = False


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done, or would be: `revision` is the schema that the backup had, `erased` how many players came back who
    had been erased, `aside` where the file before is now.
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
            if self._is_server:
                write_server_backup(self._database, backup)
            else:
                write_backup(self._path, backup)
        return backup.stat().st_size

    def restore(self, backup: Path, plan: Plan) -> Restored:
        """Make the database of a backup."""
        with _refusing():
            if plan.preview:
                with tempfile.TemporaryDirectory(prefix="authsrv-restore-") as directory:
                    return self._prepared(backup, Path(directory) / "authsrv.db", plan)
            made = self._into_server(backup, plan) if self._is_server else self._into_file(backup, plan)
        self._record()
        return made

    def restored(self, plan: Plan) -> Restored:
        """End what a database brought back that was restored by other means."""
        with _refusing():
            if not plan.preview:
                migrate(self._database.url, self._database.password)
            made = asyncio.run(self._server_cut(plan)) if self._is_server else self._file_cut(plan)
        if not plan.preview:
            self._record()
        return made

    def _into_file(self, backup: Path, plan: Plan) -> Restored:
        path = self._path
        create(path)
        refuse_network(path)
        with ProcessLock(path), making_room(path.with_name(f"{path.name}.restoring")) as room:
            _refuse_served_before(path, plan)
            made = self._prepared(backup, room / path.name, plan)
            aside = put_in_place(room / path.name, path)
            tighten(path)
            _note(self._ledger, self._known_erasures(plan))
        return Restored(made.cut, made.erased, made.revision, aside)

    def _into_server(self, backup: Path, plan: Plan) -> Restored:
        refuse_served(self._database)
        with tempfile.TemporaryDirectory(prefix="authsrv-restore-") as directory:
            work = Path(directory) / "authsrv.db"
            made = self._prepared(backup, work, plan)
            fill_server(work, self._database, self._now())
        _note(self._ledger, self._known_erasures(plan))
        return made

    def _file_cut(self, plan: Plan) -> Restored:
        known = self._known_erasures(plan)
        done = cut_file(self._path, list(self.config.projects), self._now(), preview=plan.preview)
        erased = present(self._path, known)
        if not plan.preview:
            _note(self._ledger, known)
            asyncio.run(self._settle(self.config, self.emit))
        return Restored(done, erased)

    async def _server_cut(self, plan: Plan) -> Restored:
        # Also to try it: it locks every row that it would end.
        refuse_served(self._database)
        known = self._known_erasures(plan)
        with tempfile.TemporaryDirectory(prefix="authsrv-erasures-") as directory:
            _note(LedgerDirectory(Path(directory)), known)
            config = self._with_database(erasures=directory)
            storage = open_storage(config.database.model())
            try:
                await storage.open()
                done = await storage.cut(list(config.projects), self._now(), preview=plan.preview)
                erased = len(await storage.load_resurrected())
            finally:
                await storage.close()
            if not plan.preview:
                await self._settle(config, self.emit)
                _note(self._ledger, known)
        return Restored(done, erased)

    def _prepared(self, backup: Path, work: Path, plan: Plan) -> Restored:
        """A file that could be served as it is."""
        revision = take_in(backup, work)
        above = 0 if self._is_server else StartMark(self._path).known()
        done = cut_file(work, list(self.config.projects), self._now(), above=above)
        if self._is_server:
            hold_ids_back(work)
        known = self._known_erasures(plan)
        erased = present(work, known)
        _note(ErasureLedger.beside(work), known)
        emit = _unheard if plan.preview else self.emit
        asyncio.run(self._settle(self._with_database(url=SecretStr(f"sqlite:///{work}")), emit))
        return Restored(done, erased, revision)

    async def _settle(self, config: Config, emit: Emit) -> None:
        """Open the database as the server does: its keys must be usable, and whoever was erased is erased again."""
        async with create_app(config, World(clock=self.clock, emit=emit)).opened():
            pass

    def _record(self) -> None:
        """Once it is done: what was refused or tried restored nothing."""
        Audit(self.emit, now=self.clock).record(AuditEvent("database.restored"))

    def _with_database(self, **changes: object) -> Config:
        return self.config.model_copy(update={"database": self.config.database.model_copy(update=changes)})

    def _known_erasures(self, plan: Plan) -> Mapping[str, int]:
        return {**self._ledger.read(), **read_ledgers(plan.erasures)}

    @property
    def _ledger(self) -> Ledger:
        """The database's own."""
        if not self._is_server:
            return ErasureLedger.beside(self._path)
        return LedgerDirectory(self._database.erasures) if self._database.erasures else NoLedger()

    @property
    def _database(self) -> Database:
        return self.config.database.model()

    @property
    def _is_server(self) -> bool:
        return names_postgres(self._database.url)

    @property
    def _path(self) -> Path:
        return path_of(self._database.url)

    def _now(self) -> int:
        return int(self.clock())


def _unheard(_event: Event) -> None:
    """A log for what happens to a copy that nobody serves."""


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


def _note(ledger: Ledger, known: Mapping[str, int]) -> None:
    """Let a ledger know what others know."""
    noted = ledger.read()
    missing = [Erasure(sub, at) for sub, at in known.items() if sub not in noted]
    if missing:
        ledger.add(missing)
