"""Which tables are copied from one database into another: their keys, their columns, and an order for their rows.

The one list of them. Knows no driver, no statement and no values.
"""

from collections.abc import Mapping

from authsrv.records import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """A table by the columns of its primary key, in the key's order, and all the others."""

    name: str
    key: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, in the order in which rows are read and written here."""
        return (*self.key, *self.others)


def _table(name: str, key: str, others: str = "") -> Table:
    return Table(name, tuple(key.split()), tuple(others.split()))


TABLES: tuple[Table, ...] = (
    _table(
        "players",
        "id",
        "sub project display_name created_at last_login_at version barred_as age_group name_from segments barred_until "
        "merged_into name_key",
    ),
    _table("identities", "project kind environment subject", "player_id linked_at last_used_at"),
    _table("profiles", "player_id", "profile"),
    _table("consents", "player_id client_id", "scope given_at"),
    _table(
        "grants",
        "id",
        "project client_id player_id scope audience platform idp idp_subject auth_time created_at expires_at "
        "absolute_expires_at nonce redirect_uri delivered_as_json code_hash code_expires_at code_used_at "
        "code_challenge code_failures refresh_hash refresh_generation refresh_previous_hash refresh_rotated_at "
        "refresh_successor revoked_at revoked_reason session_id claims",
    ),
    _table(
        "credentials",
        "digest",
        "requester holder state lease_until created_at expires_at settled_at outcome identity_project identity_kind "
        "identity_environment identity_subject grant_id",
    ),
    _table("used_proofs", "digest", "expires_at"),
    _table(
        "keys",
        "kid",
        "use alg material sealed created_at signs_from retires_at follows signs_until erased_at revoked_at",
    ),
    _table("clients", "client_id", "project name disabled_at"),
    _table(
        "registered_clients",
        "id",
        "client_id project metadata secret_hash token_hash registered_with created_at expires_at version",
    ),
    _table("revoked_tokens", "jti", "expires_at"),
    _table("not_befores", "kind subject", "not_before"),
    _table("browsers", "id", "secret_hash created_at expires_at"),
    _table(
        "requests",
        "id",
        "browser_id project client_id parameters created_at expires_at expected_sub progress completed_at",
    ),
    _table("trips", "id", "browser_id request_id platform state_hash created_at expires_at used_at"),
    _table(
        "sessions",
        "id",
        "browser_id project player_id platform idp idp_subject auth_time created_at expires_at absolute_expires_at "
        "ended_at ended_reason used_at",
    ),
    _table("session_clients", "session_id client_id"),
    _table("logout_notices", "id", "client_id session_id sub created_at next_attempt_at attempts"),
    _table("bans", "id", "project player_id kind reason decided_by created_at until lifted_at"),
    _table("identity_bans", "digest ban_id"),
    _table(
        "events",
        "id",
        "project kind at player_id other_id identity_kind identity_environment identity_subject actor actor_name "
        "client_id address rule reason facts reversible_until reversed_by",
    ),
    _table(
        "link_codes",
        "id",
        "code_hash project player_id client_id grant_id check_number return_to created_at expires_at used_at",
    ),
    _table("erasures", "sub", "erased_at"),
)
"""Those that rows point to stand before those that point to them."""

NUMBERED = tuple(table for table in TABLES if table.key == ("id",))
"""Those whose ids are given by `row_ids`."""

NOT_COPIED: Mapping[str, str] = {
    "alembic_version": "the schema is the target's own, made by its migrations",
    "epochs": "the target's start number is raised beyond every id of the source",
    "leases": "who does what now is no fact to be moved; no node of the source serves the target",
    "versions": "they count changes of the target alone, for nodes that start after the copy",
    "rate_counts": "they are over within a minute",
}
"""Why the rows of each other table stay where they are."""
