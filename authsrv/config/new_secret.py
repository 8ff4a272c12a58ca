"""A further secret for a client of the file: which client may have one, and the TOML that lets it in.

Judges the file as it will be with that TOML in it. Writes nothing, and keeps the secret nowhere. Knows no command.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path as FilePath
from typing import Any

from authsrv.config.client_checks import RUNTIME_PREFIX, SECRET_SETTINGS
from authsrv.config.client_secrets import SecretHash, moment_text, secret_digest
from authsrv.config.lines import line_of
from authsrv.config.loader import Source, judge, read
from authsrv.config.problems import ConfigError, Path, key_text
from authsrv.records import dataclass

_SETTING = "secret_hashes"


class SecretRefused(Exception):
    """No secret can be made for this client. The text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class SecretEntry:
    """What lets a new secret in: `toml` in the table that is called `table` and begins in this line of the file.

    With `replaces` it takes the place of a setting of that name, which then is what stands in that line. `faults` is
    how many mistakes the file has elsewhere, for which the server will not take it.
    """

    toml: str
    table: str
    line: int
    replaces: bool
    is_first: bool
    faults: int


def entry_for(path: FilePath, client_id: str, secret: str, expires_at: int | None, now: int) -> SecretEntry:
    """What lets this secret of a client in until `expires_at`, in Unix seconds; None is for ever.

    Raises `SecretRefused`, or `ConfigError` if the client's table would have mistakes with it.
    """
    source = read(path)
    place = _place_of(source, client_id)
    present = _at(source.tables, place)
    if _is_public(present):
        raise SecretRefused(_public(client_id, place))
    entries = present.get(_SETTING, [])
    if isinstance(entries, list):  # else the judgement will tell
        entries = [*entries, _entry(secret, expires_at)]
    faults = _faults_elsewhere(source, place, entries, now)
    replaces = _SETTING in present
    return SecretEntry(
        toml=_toml([SecretHash.model_validate(each) for each in entries]),
        table=key_text(place),
        line=line_of(source.lines, (*place, _SETTING) if replaces else place),
        replaces=replaces,
        is_first=not _has_secret(present),
        faults=faults,
    )


def _faults_elsewhere(source: Source, place: Path, entries: object, now: int) -> int:
    """How many mistakes the file would have outside the client's table; raises `ConfigError` with those inside."""
    tables = deepcopy(dict(source.tables))
    _at(tables, place)[_SETTING] = entries
    try:
        judge(replace(source, tables=tables), now)
    except ConfigError as error:
        inside = [problem for problem in error.problems if _concerns(problem.key, key_text(place))]
        if inside:
            raise ConfigError(inside) from None
        return len(error.problems)
    return 0


def _concerns(key: str, table: str) -> bool:
    """Whether a mistake stands in the table, or above it, where it may hide others."""
    return key.startswith((f"{table}.", f"{table}[")) or f"{table}.".startswith(f"{key}.")


def _entry(secret: str, expires_at: int | None) -> dict[str, Any]:
    end = {} if expires_at is None else {"expires": datetime.fromtimestamp(expires_at, UTC)}
    return {"sha256": secret_digest(secret).hex(), **end}


def _toml(hashes: Sequence[SecretHash]) -> str:
    entries = [f"{{ {_fields(each)} }}" for each in hashes]
    if len(entries) == 1:
        return f"{_SETTING} = [{entries[0]}]"
    return "\n".join([f"{_SETTING} = [", *(f"    {entry}," for entry in entries), "]"])


def _fields(secret: SecretHash) -> str:
    end = "" if secret.expires is None else f", expires = {moment_text(secret.expires)}"
    return f'sha256 = "{secret.sha256.hex()}"{end}'


def _place_of(source: Source, client_id: str) -> Path:
    """Where the client's table is. The file has not been judged yet, so that everything may be anything."""
    places = {
        name: ("projects", key, "clients", name)
        for key in _at(source.tables, ("projects",))
        for name in _at(source.tables, ("projects", key, "clients"))
    }
    if client_id not in places:
        raise SecretRefused(_unknown(source.file, client_id, list(places)))
    return places[client_id]


def _unknown(file: str, client_id: str, known: list[str]) -> str:
    if client_id.startswith(RUNTIME_PREFIX):
        return f"{client_id} is no client of {file}; a client that registered itself changes its secret by itself"
    close = get_close_matches(client_id, known, n=1, cutoff=0.6)
    remedy = f"did you mean {close[0]}?" if close else f"it has: {', '.join(sorted(known)) or 'none'}"
    return f"{file} has no client {client_id}; {remedy}"


def _public(client_id: str, place: Path) -> str:
    return (
        f"{client_id} is a public client, and has no secret: whoever has the game would have it too. "
        f'If only a server of yours is to have one, write type = "confidential" into [{key_text(place)}], '
        'or type = "server" if it has no players, and run this once more'
    )


def _is_public(client: Mapping[str, Any]) -> bool:
    kind: object = client.get("type", "confidential" if _has_secret(client) else "public")
    return kind == "public"


def _has_secret(client: Mapping[str, Any]) -> bool:
    return any(client.get(name) for name in SECRET_SETTINGS)


def _at(tables: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The table at a path; an empty one where there is none."""
    found: Any = tables
    for part in path:
        found = found.get(part) if isinstance(found, Mapping) else None
    return found if isinstance(found, dict) else {}
