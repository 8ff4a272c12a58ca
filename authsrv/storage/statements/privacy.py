"""Every statement about what players are told of themselves, and about how they are forgotten.

Owns tables, columns and guards as SQL text, written once with `:name` placeholders as in `base.py`. Knows no driver.
"""

from authsrv.storage.statements.base import PLAYER
from authsrv.storage.statements.browsers import SESSION

# --- what is told of a player ---

SELECT_SESSION_RECORDS = f"""
    SELECT {SESSION} FROM sessions s WHERE s.player_id = :player_id ORDER BY s.id"""  # noqa: S608 - columns of ours

SELECT_GRANT_RECORDS = """
    SELECT client_id, scope, audience, platform, idp, idp_subject, auth_time, created_at, expires_at,
        absolute_expires_at, refresh_generation > 0, refresh_rotated_at, revoked_at, revoked_reason
    FROM grants WHERE player_id = :player_id ORDER BY id"""

SELECT_PLAYERS = f"SELECT {PLAYER} FROM players p WHERE p.id > :after ORDER BY p.id LIMIT :limit"  # noqa: S608 - ours

# --- what there is, by age; rows are numbered as they come ---

OLDEST_PLAYER = "SELECT created_at FROM players WHERE id > 0 ORDER BY id LIMIT 1"
OLDEST_GRANT = "SELECT created_at FROM grants WHERE id > 0 ORDER BY id LIMIT 1"
OLDEST_SESSION = "SELECT created_at FROM sessions WHERE id > 0 ORDER BY id LIMIT 1"
OLDEST_REQUEST = "SELECT created_at FROM requests WHERE id > 0 ORDER BY id LIMIT 1"
OLDEST_LINK_CODE = "SELECT created_at FROM link_codes WHERE id > 0 ORDER BY id LIMIT 1"
OLDEST_EVENT = "SELECT at FROM events WHERE id > 0 ORDER BY id LIMIT 1"
OLDEST_BAN = "SELECT created_at FROM bans WHERE id > 0 ORDER BY id LIMIT 1"
OLDEST_NOTICE = "SELECT created_at FROM logout_notices WHERE id > 0 ORDER BY id LIMIT 1"
OLDEST_ERASURE = "SELECT erased_at FROM erasures WHERE erased_at > 0 ORDER BY erased_at, sub LIMIT 1"
COUNT_NOTICES = "SELECT count(*) FROM logout_notices WHERE next_attempt_at > 0"

# --- erasure ---

_OWN = "(SELECT id FROM players WHERE id = :player_id UNION ALL SELECT id FROM players WHERE merged_into = :player_id)"
"""The rows of the player and of the accounts merged into them."""

CLAIM_FOR_ERASURE = """
    UPDATE players SET version = version + 1
    WHERE id = :player_id AND version = :version AND merged_into IS NULL
        AND (SELECT count(*) FROM players a WHERE a.merged_into = :player_id) = :aliases"""

# The index holds what was settled within the last minutes only.
FORGET_CREDENTIALS = f"""
    UPDATE credentials SET state = 'refused', outcome = '', grant_id = 0, identity_project = NULL, identity_kind = NULL,
        identity_environment = NULL, identity_subject = NULL
    WHERE identity_subject IS NOT NULL AND settled_at > 0
        AND EXISTS (SELECT 1 FROM identities i
            WHERE i.project = identity_project AND i.kind = identity_kind AND i.environment = identity_environment
                AND i.subject = identity_subject AND i.player_id IN {_OWN})"""  # noqa: S608

FORGET_PLACES_IN_BROWSERS = f"""
    DELETE FROM requests WHERE completed_at IS NULL AND browser_id <> 0
        AND browser_id IN (SELECT s.browser_id FROM sessions s WHERE s.player_id IN {_OWN})"""  # noqa: S608

FORGET_REQUESTS = "DELETE FROM requests WHERE expected_sub = :sub AND expected_sub <> ''"

FORGET_IDENTITIES = f"DELETE FROM identities WHERE player_id IN {_OWN}"  # noqa: S608
FORGET_PROFILES = f"DELETE FROM profiles WHERE player_id IN {_OWN}"  # noqa: S608
FORGET_CONSENTS = f"DELETE FROM consents WHERE player_id IN {_OWN}"  # noqa: S608
FORGET_LINK_CODES = f"DELETE FROM link_codes WHERE player_id IN {_OWN}"  # noqa: S608
FORGET_GRANTS = f"DELETE FROM grants WHERE player_id IN {_OWN}"  # noqa: S608
# Who took part in a session goes with it, by the foreign key.
FORGET_SESSIONS = f"DELETE FROM sessions WHERE player_id IN {_OWN}"  # noqa: S608

# The marks go with their ban, by the foreign key.
FORGET_BANS = f"""
    DELETE FROM bans WHERE player_id IN {_OWN}
        AND (:forgets_bans = 1 OR kind = 'restricted' OR lifted_at IS NOT NULL OR until <= :now)"""  # noqa: S608

ANONYMIZE_BANS = f"""
    UPDATE bans SET player_id = 0, reason = '', decided_by = '' WHERE player_id IN {_OWN}"""  # noqa: S608

_ANONYMOUS = """identity_kind = '', identity_environment = '', identity_subject = '', address = '', reason = '',
        facts = '', reversible_until = 0"""

ANONYMIZE_EVENTS = f"UPDATE events SET player_id = :tombstone, {_ANONYMOUS} WHERE player_id IN {_OWN}"  # noqa: S608

ANONYMIZE_EVENTS_OF_OTHERS = f"""
    UPDATE events SET other_id = :tombstone, {_ANONYMOUS} WHERE other_id IN {_OWN} AND other_id <> 0"""  # noqa: S608

ANONYMIZE_EVENTS_ABOUT_IDENTITIES = f"""
    UPDATE events SET identity_kind = '', identity_environment = '', identity_subject = '', facts = '',
        reversible_until = 0
    WHERE identity_subject <> '' AND id IN (
        SELECT e.id FROM identities i JOIN events e
            ON e.identity_subject = i.subject AND e.identity_kind = i.kind AND e.identity_subject <> ''
        WHERE i.player_id IN {_OWN} AND e.project = i.project AND e.identity_environment = i.environment)"""  # noqa: S608

# A merge names the platform accounts that changed hands in its facts alone, among them those of whoever has one now.
FORGET_MOVES_OF_IDENTITIES = f"""
    UPDATE events SET facts = '', reversible_until = 0
    WHERE kind IN ('merged', 'undone') AND project = (SELECT project FROM players WHERE id = :player_id)
        AND facts <> '' AND EXISTS (
            SELECT 1 FROM identities i WHERE i.player_id IN {_OWN} AND events.facts LIKE '%"' || i.subject || '"%')"""  # noqa: S608

INSERT_ERASURE = "INSERT INTO erasures (sub, erased_at) VALUES (:sub, :now) ON CONFLICT DO NOTHING"

DELETE_PLAYER = """
    DELETE FROM players WHERE sub = :sub AND (id = :player_id OR merged_into = :player_id)"""

SELECT_ERASURE = "SELECT sub, erased_at FROM erasures WHERE sub = :sub"

SELECT_ERASURES = "SELECT sub, erased_at FROM erasures WHERE erased_at >= :since ORDER BY erased_at, sub"

# --- what has been kept long enough ---

WIPE_CREDENTIALS = """
    UPDATE credentials SET state = 'refused', outcome = '', grant_id = 0, identity_project = NULL, identity_kind = NULL,
        identity_environment = NULL, identity_subject = NULL
    WHERE identity_subject IS NOT NULL AND settled_at < :proofs_before AND digest IN (
        SELECT digest FROM credentials WHERE identity_subject IS NOT NULL AND settled_at < :proofs_before
        ORDER BY settled_at, digest LIMIT :limit)"""

SWEEP_EVENTS = """
    DELETE FROM events WHERE id IN (
        SELECT id FROM events WHERE at < :events_before AND kind NOT IN ('erased', 'consent_withdrawn')
        ORDER BY at, id LIMIT :limit)"""

SWEEP_WITHDRAWALS = """
    DELETE FROM events WHERE id IN (
        SELECT id FROM events WHERE at < :withdrawals_before AND kind = 'consent_withdrawn'
        ORDER BY at, id LIMIT :limit)"""

CUT_ADDRESSES = """
    UPDATE events SET address = '' WHERE id IN (
        SELECT id FROM events WHERE at < :addresses_before AND address <> '' ORDER BY at, id LIMIT :limit)"""

SWEEP_BANS = """
    DELETE FROM bans WHERE id IN (SELECT id FROM bans WHERE until < :bans_before ORDER BY until, id LIMIT :limit)"""

SWEEP_LIFTED_BANS = """
    DELETE FROM bans WHERE id IN (
        SELECT id FROM bans WHERE lifted_at IS NOT NULL AND lifted_at < :bans_before
        ORDER BY lifted_at, id LIMIT :limit)"""

# Nothing is left that it could void.
SWEEP_NOT_BEFORES_OF_ERASED = """
    DELETE FROM not_befores WHERE kind = 'player' AND subject IN (
        SELECT sub FROM erasures WHERE erased_at < :erasures_before ORDER BY erased_at, sub LIMIT :limit)"""

SWEEP_ERASURES = """
    DELETE FROM erasures WHERE sub IN (
        SELECT sub FROM erasures WHERE erased_at < :erasures_before ORDER BY erased_at, sub LIMIT :limit)"""

# The same for one account, whose things are kept for less long.

TRIM_EVENTS = """
    DELETE FROM events WHERE player_id = :player_id AND at < :events_before
        AND kind NOT IN ('erased', 'consent_withdrawn')"""

TRIM_WITHDRAWALS = """
    DELETE FROM events WHERE player_id = :player_id AND at < :withdrawals_before AND kind = 'consent_withdrawn'"""

TRIM_ADDRESSES = """
    UPDATE events SET address = '' WHERE player_id = :player_id AND at < :addresses_before AND address <> ''"""

TRIM_BANS = """
    DELETE FROM bans WHERE player_id = :player_id
        AND (until < :bans_before OR (lifted_at IS NOT NULL AND lifted_at < :bans_before))"""
