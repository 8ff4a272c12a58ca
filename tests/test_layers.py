"""The direction of imports, read from the source. A new arrow is a decision: it changes this table, in the open."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "authsrv"

RECORDS = "authsrv.records"
"""How a class of values is made; the verifier, which a backend installs for two libraries, does without it."""

NOUNS = (
    "authsrv.models",
    "authsrv.account_models",
    "authsrv.errors",
    "authsrv.settings",
    "authsrv.strict_json",
    "authsrv.compact_jws",
    RECORDS,
)
"""What everybody may know."""

CHANGES = (
    "authsrv.storage.changes",
    "authsrv.storage.account_changes",
    "authsrv.storage.privacy_changes",
    "authsrv.storage.node_changes",
)
"""What can be written."""

ALLOWED: dict[str, tuple[str, ...]] = {
    RECORDS: (),
    "authsrv.models": (RECORDS,),
    "authsrv.account_models": ("authsrv.models", RECORDS),
    "authsrv.errors": (),
    "authsrv.settings": (),
    "authsrv.database_url": (RECORDS,),
    "authsrv.strict_json": (),
    "authsrv.compact_jws": ("authsrv.strict_json",),
    "authsrv.shipped": (),
    "authsrv.client_metadata": ("authsrv.models", RECORDS),
    "authsrv.ages": NOUNS,
    "authsrv.players": (*NOUNS, *CHANGES, "authsrv.ages"),
    "authsrv.signin": (*NOUNS, "authsrv.ages"),
    "authsrv.redirects": NOUNS,
    "authsrv.rate_windows": NOUNS,
    "authsrv.limits": (*NOUNS, "authsrv.rate_windows"),
    "authsrv.log": (*NOUNS, "authsrv.redaction"),
    "authsrv.metrics": (
        *NOUNS,
        "authsrv.metrics",
        "authsrv.audit",
        "authsrv.limits",
        "authsrv.log",
        "authsrv.oauth.key_schedule",
        "authsrv.outbound.breaker",
        "authsrv.outbound.figures",
        "authsrv.serving.readiness",
        "authsrv.storage.vitals",
    ),
    "authsrv.metrics.figures": (),
    "authsrv.audit": (*NOUNS, "authsrv.log"),
    "authsrv.oauth": (
        *NOUNS,
        "authsrv.__version__",
        "authsrv.oauth",
        "authsrv.client_metadata",
        "authsrv.ages",
        "authsrv.players",
        "authsrv.signin",
        "authsrv.redirects",
        "authsrv.limits",
        "authsrv.audit",
        "authsrv.platforms.base",
        "authsrv.storage.base",
        *CHANGES,
    ),
    "authsrv.accounts": (
        *NOUNS,
        "authsrv.accounts",
        "authsrv.oauth",
        "authsrv.ages",
        "authsrv.players",
        "authsrv.signin",
        "authsrv.limits",
        "authsrv.audit",
        "authsrv.platforms.base",
        "authsrv.storage.base",
        *CHANGES,
    ),
    "authsrv.platforms": (*NOUNS, "authsrv.platforms"),
    "authsrv.playfab": (*NOUNS, "authsrv.playfab", "authsrv.platforms.base"),
    "authsrv.storage": (
        *NOUNS,
        "authsrv.storage",
        "authsrv.database_url",
        "authsrv.metrics.figures",
        "authsrv.shipped",
    ),
    "authsrv.pages": (*NOUNS, "authsrv.pages", "authsrv.shipped"),
    "authsrv.endpoints": (
        *NOUNS,
        "authsrv.endpoints",
        "authsrv.accounts",
        "authsrv.oauth",
        "authsrv.pages",
        "authsrv.signin",
        "authsrv.redirects",
        "authsrv.platforms.base",
        "authsrv.storage.base",
        "authsrv.serving.readiness",
        "authsrv.addresses",
        "authsrv.log",
    ),
    "authsrv.orders": (
        *NOUNS,
        "authsrv.orders",
        "authsrv.accounts",
        "authsrv.oauth",
        "authsrv.audit",
        "authsrv.storage.base",
        *CHANGES,
    ),
    "authsrv.orders.delivery": (
        "authsrv.orders",
        "authsrv.oauth",
        "authsrv.app",
        "authsrv.config",
        "authsrv.log",
        "authsrv.serving.control",
        "authsrv.storage.base",
    ),
    "authsrv.commands": (
        RECORDS,
        "authsrv.commands",
        "authsrv.config",
        "authsrv.log",
        "authsrv.oauth.opaque",
        "authsrv.orders",
    ),
    "authsrv.commands.backups": ("authsrv.commands", "authsrv.restoring"),
    "authsrv.commands.starting": ("authsrv.commands", "authsrv.config", "authsrv.serving", "authsrv.storage.base"),
    "authsrv.commands.moving": ("authsrv.commands", "authsrv.database_url", "authsrv.storage"),
    "authsrv.config": (
        *NOUNS,
        "authsrv.config",
        "authsrv.client_metadata",
        "authsrv.database_url",
        "authsrv.limits",
        "authsrv.redirects",
        "authsrv.outbound.guarded_urls",
        "authsrv.pages.colours",
        "authsrv.platforms",
        "authsrv.playfab",
    ),
    "authsrv.jobs": (
        *NOUNS,
        "authsrv.jobs",
        "authsrv.accounts",
        "authsrv.oauth",
        "authsrv.limits",
        "authsrv.audit",
        "authsrv.platforms.base",
        "authsrv.serving.readiness",
        "authsrv.storage.base",
        *CHANGES,
    ),
    "authsrv.services": (
        RECORDS,
        "authsrv.outbound.breaker",
        "authsrv.outbound.figures",
        "authsrv.platforms.base",
        "authsrv.serving.readiness",
    ),
    "authsrv.outbound": (
        "authsrv.__version__",
        *NOUNS,
        "authsrv.metrics.figures",
        "authsrv.platforms.base",
        "authsrv.outbound",
    ),
    "authsrv.verify": ("authsrv.__version__", "authsrv.compact_jws", "authsrv.verify", "authsrv.strict_json"),
    "authsrv.emulator": (*NOUNS, "authsrv.emulator", "authsrv.settings"),
}
"""By the longest matching prefix. Modules in no row (app, cli, serve, ...) compose and may import anything."""

SOLE_IMPORTERS = {
    "httpcore": ("authsrv.outbound",),
    "httpx": ("authsrv.verify.fetch",),
    "authlib": ("authsrv.oauth",),
    "sqlite3": ("authsrv.storage",),
    "aiosqlite": ("authsrv.storage",),
    "limits": ("authsrv.storage.redis_counts",),
    "redis": ("authsrv.storage.redis_counts",),
    "alembic": ("authsrv.storage.migrate", "authsrv.storage.postgres.migrate", "authsrv.storage.migrations"),
    "sqlalchemy": ("authsrv.storage.migrate", "authsrv.storage.postgres.migrate", "authsrv.storage.migrations"),
    "prometheus_client": ("authsrv.metrics.exposition",),
    "uvicorn": ("authsrv.serving", "authsrv.emulator"),
    "typer": ("authsrv.cli", "authsrv.commands", "authsrv.emulator.commands"),
}


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        yield from imported_by(node)


def imported_by(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def below(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def rule_for(module: str) -> tuple[str, ...] | None:
    matching = [prefix for prefix in ALLOWED if below(module, (prefix,))]
    return ALLOWED[max(matching, key=len)] if matching else None


MODULES = sorted(PACKAGE.rglob("*.py"))


def imports_when_loaded(path: Path) -> Iterator[str]:
    """The modules of ours that run when this one is imported, but for the packages it stands in itself."""
    known, own = set(map(module_of, MODULES)), module_of(path)
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        for name in imported_by(node):
            parts = name.split(".")
            found = {".".join(parts[:end]) for end in range(1, len(parts) + 1)} & known
            yield from (module for module in found if not below(own, (module,)))


def test_there_are_modules_to_look_at() -> None:
    assert len(MODULES) > 30


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_dependencies_run_downwards_only(path: Path) -> None:
    allowed = rule_for(module_of(path))
    ours = [name for name in imports_of(path) if below(name, ("authsrv",))]
    assert allowed is None or [name for name in ours if not below(name, allowed)] == []


def test_no_module_is_needed_by_what_it_needs() -> None:
    """Else whether it can be imported depends on who was imported first."""
    needed = {module_of(path): set(imports_when_loaded(path)) for path in MODULES}
    try:
        TopologicalSorter(needed).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_each_outer_world_has_one_door(path: Path) -> None:
    module = module_of(path)
    foreign = [
        name
        for name in imports_of(path)
        for library, doors in SOLE_IMPORTERS.items()
        if below(name, (library,)) and not below(module, doors)
    ]
    assert foreign == []


def test_a_platform_knows_no_other_platform() -> None:
    for path in (PACKAGE / "platforms").rglob("*.py"):
        own = path.relative_to(PACKAGE / "platforms").parts[0].removesuffix(".py").split("_")[0]
        others = {"steam", "xbox", "epic", "guest"} - {own}
        foreign = [n for n in imports_of(path) if any(f"platforms.{other}" in n for other in others)]
        assert foreign == [] or path.name == "__init__.py", path
