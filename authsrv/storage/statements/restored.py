"""Every statement about a database that was restored from a backup: what it takes to end all that was given out.

Owns tables, columns and guards as SQL text, written once with `:name` placeholders as in `base.py`. Knows no driver.
"""

END_GRANTS = """
    UPDATE grants SET revoked_at = :now, revoked_reason = :reason, refresh_successor = NULL
    WHERE revoked_at IS NULL"""

END_SESSIONS = "UPDATE sessions SET ended_at = :now, ended_reason = :reason WHERE ended_at IS NULL"

FORGET_BROWSERS = "DELETE FROM browsers"
FORGET_REQUESTS = "DELETE FROM requests"
FORGET_TRIPS = "DELETE FROM trips"
FORGET_LINK_CODES = "DELETE FROM link_codes"

# They stay as refused: what was presented before the backup was made must not work once more.
REFUSE_CREDENTIALS = """
    UPDATE credentials SET state = 'refused', outcome = '', grant_id = 0, identity_project = NULL, identity_kind = NULL,
        identity_environment = NULL, identity_subject = NULL
    WHERE state <> 'refused' OR identity_subject IS NOT NULL"""

# The condition tells SQLite that ON belongs to the INSERT.
VOID_KNOWN_PROJECTS = """
    INSERT INTO not_befores (kind, subject, not_before)
    SELECT 'project', known.project, :not_before FROM (SELECT project FROM players
        UNION SELECT project FROM clients UNION SELECT project FROM registered_clients) AS known
    WHERE known.project <> ''
    ON CONFLICT (kind, subject) DO UPDATE SET not_before = excluded.not_before
    WHERE excluded.not_before > not_befores.not_before"""

FORGET_LEASES = "DELETE FROM leases"

SKIP_STARTS = "UPDATE epochs SET value = value + :starts WHERE id = 1"

NOTE_RESTORED = """
    INSERT INTO versions (name, value) VALUES ('restored', :now)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE excluded.value > versions.value"""
