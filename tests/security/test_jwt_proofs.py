"""Which tests prove the rows of group C of the security checklist, and B43 to B45: every row has one of its id."""

import ast
import re
from collections.abc import Mapping
from pathlib import Path

DOORS, SHOP = "security/test_jwt_rows.py", "test_demo_shop.py"
EPIC, XBOX, JWKS = "platforms/test_epic_tokens.py", "platforms/test_xbox_token.py", "platforms/test_jwks.py"
RING, MADE, COMPACT = "oauth/test_key_material.py", "oauth/test_tokens.py", "test_compact_jws.py"
SILENT = "endpoints/test_silent_rows.py"

PROOFS: Mapping[str, tuple[str, ...]] = {
    "C01": (DOORS, EPIC, XBOX),
    "C02": (DOORS, EPIC, "platforms/test_xbox_login.py"),
    "C03": (DOORS, EPIC, JWKS),
    "C04": (DOORS, EPIC),
    "C05": (DOORS, EPIC, COMPACT),
    "C06": (DOORS, EPIC, XBOX),
    "C07": (DOORS, EPIC, COMPACT),
    "C08": (DOORS, XBOX, "security/test_jwt_cost.py"),
    "C09": (DOORS, EPIC, XBOX, "security/test_jwt_cost.py"),
    "C10": (DOORS, EPIC, XBOX),
    "C11": (DOORS, XBOX, "platforms/test_xbox_signature.py"),
    "C12": (DOORS, SILENT),
    "C13": (DOORS, EPIC, XBOX, JWKS, COMPACT, "security/test_jwt_cost.py"),
    "C14": (DOORS, EPIC, XBOX, JWKS, COMPACT, "test_strict_json.py"),
    "C15": (DOORS, EPIC, "platforms/test_xbox_login.py"),
    "C16": (DOORS, EPIC),
    "C17": (DOORS, EPIC),
    "C18": (DOORS, EPIC, MADE),
    "C19": (DOORS, EPIC, "platforms/test_xbox_login.py"),
    "C20": (DOORS, EPIC, "platforms/test_xbox_login.py"),
    "C21": (DOORS, EPIC, JWKS, "platforms/test_xbox_keys.py"),
    "C22": (DOORS, EPIC, JWKS, "platforms/test_xbox_keys.py"),
    "C23": (DOORS, RING, "oauth/test_metadata.py"),
    "C24": (DOORS, RING, MADE),
    "C25": (DOORS, COMPACT),
    "C26": (DOORS, "platforms/test_xbox_signature.py"),
    "C27": (SHOP,),
    "C28": (SHOP,),
    "C29": (DOORS, MADE),
    "C30": (DOORS, MADE, "test_config_checks.py"),
    "C31": (DOORS, RING, "test_config_checks.py"),
    "C32": (SHOP, "security/test_key_addresses.py", "test_allowed_urls.py"),
    "C33": (DOORS, SILENT),
    "B43": (DOORS,),
    "B44": (DOORS,),
    "B45": (DOORS,),
}
"""Files below `tests` with a test, or a case of one, that has the row's id."""
NOT_OURS = {"C27", "C28", "C32"}
"""Rows about tokens and keys of somebody else, which no door of ours takes."""


def ids_in(path: Path) -> set[str]:
    """The rows that a file's tests and cases are named by."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found |= set(re.findall(r"_([A-Z][0-9]{2})(?=_)", node.name))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= set(re.findall(r"^([A-Z][0-9]{2})[ -]", node.value))
    return found


def test_every_row_of_the_group_is_proven_where_the_table_says() -> None:
    tests = Path(__file__).parents[1]
    rows = {f"C{number:02}" for number in range(1, 34)} | {"B43", "B44", "B45"}
    named = {file: ids_in(tests / file) for files in PROOFS.values() for file in files}
    assert PROOFS.keys() == rows
    assert {row for row in rows if DOORS not in PROOFS[row]} == NOT_OURS
    assert [(row, file) for row, files in PROOFS.items() for file in files if row not in named[file]] == []
