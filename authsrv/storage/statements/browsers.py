"""Every statement about browsers: their requests, trips and sessions, consents and logout notices.

Owns tables, columns and guards as SQL text, written once with `:name` placeholders as in `base.py`. Knows no driver.
"""

from authsrv.storage.statements.base import PLAYER

SESSION = """s.id, s.browser_id, s.project, s.player_id, s.platform, s.idp, s.idp_subject, s.auth_time, s.created_at,
        s.expires_at, s.absolute_expires_at, s.used_at, s.ended_at, s.ended_reason"""
"""The columns of a session, whose table every statement calls `s`."""
_REQUEST = """r.id, r.browser_id, r.project, r.client_id, r.parameters, r.created_at, r.expires_at, r.expected_sub,
        r.progress, r.completed_at"""
_TRIP = "t.id, t.browser_id, t.request_id, t.platform, t.state_hash, t.created_at, t.expires_at, t.used_at"
_VISIT = f"b.id, b.secret_hash, b.created_at, b.expires_at, {SESSION}, {PLAYER}, c.scope"

# --- browsers ---

INSERT_BROWSER = """
    INSERT INTO browsers (id, secret_hash, created_at, expires_at)
    VALUES (:id, :secret_hash, :created_at, :expires_at)
    ON CONFLICT DO NOTHING"""

ROTATE_BROWSER = """
    UPDATE browsers SET secret_hash = :successor, expires_at = :expires_at
    WHERE id = :browser_id AND secret_hash = :current"""

SELECT_VISIT = f"""
    SELECT {_VISIT}
    FROM browsers b
        LEFT JOIN sessions s ON s.browser_id = b.id AND s.project = :project AND s.ended_at IS NULL
        LEFT JOIN players p ON p.id = s.player_id
        LEFT JOIN consents c ON c.player_id = s.player_id AND c.client_id = :client_id
    WHERE b.id = :browser_id"""  # noqa: S608 - columns from this file

_OF_THE_REQUEST = """
        LEFT JOIN browsers b ON b.id = :browser_id
        LEFT JOIN sessions s ON s.browser_id = b.id AND s.project = r.project AND s.ended_at IS NULL
        LEFT JOIN players p ON p.id = s.player_id
        LEFT JOIN consents c ON c.player_id = s.player_id AND c.client_id = r.client_id"""

# --- requests and trips ---

INSERT_REQUEST = """
    INSERT INTO requests (id, browser_id, project, client_id, parameters, created_at, expires_at, expected_sub,
        progress, completed_at)
    VALUES (:id, :browser_id, :project, :client_id, :parameters, :created_at, :expires_at, :expected_sub, :progress,
        :completed_at)
    ON CONFLICT DO NOTHING"""

# Both halves name the whole condition of the index over what waits, or they would walk everything of the browser.
PRUNE_REQUESTS = """
    DELETE FROM requests WHERE browser_id = :browser_id AND browser_id <> 0 AND completed_at IS NULL AND id NOT IN (
        SELECT id FROM requests WHERE browser_id = :browser_id AND browser_id <> 0 AND completed_at IS NULL
        ORDER BY id DESC LIMIT :most)"""

BIND_REQUEST = "UPDATE requests SET browser_id = :browser_id WHERE id = :request_id AND browser_id = 0"

ADVANCE_REQUEST = "UPDATE requests SET progress = :progress WHERE id = :request_id AND completed_at IS NULL"

AMEND_REQUEST = "UPDATE requests SET parameters = :parameters WHERE id = :request_id AND completed_at IS NULL"

COMPLETE_REQUEST = "UPDATE requests SET completed_at = :now WHERE id = :request_id AND completed_at IS NULL"

SELECT_REQUEST = f"""
    SELECT {_REQUEST}, {_VISIT}
    FROM requests r {_OF_THE_REQUEST}
    WHERE r.id = :request_id"""  # noqa: S608 - columns from this file

INSERT_TRIP = """
    INSERT INTO trips (id, browser_id, request_id, platform, state_hash, created_at, expires_at, used_at)
    VALUES (:id, :browser_id, :request_id, :platform, :state_hash, :created_at, :expires_at, :used_at)
    ON CONFLICT DO NOTHING"""

PRUNE_TRIPS = """
    DELETE FROM trips WHERE request_id = :request_id AND used_at IS NULL AND id NOT IN (
        SELECT id FROM trips WHERE request_id = :request_id AND used_at IS NULL ORDER BY id DESC LIMIT :most)"""

USE_TRIP = "UPDATE trips SET used_at = :now WHERE id = :trip_id AND used_at IS NULL"

SELECT_TRIP = f"""
    SELECT {_TRIP}, {_REQUEST}, {_VISIT}
    FROM trips t JOIN requests r ON r.id = t.request_id {_OF_THE_REQUEST}
    WHERE t.id = :trip_id"""  # noqa: S608 - columns from this file

# --- sessions ---

# The unique index over sessions that have not ended is the guard; a conflict leaves no row.
INSERT_SESSION = """
    INSERT INTO sessions (id, browser_id, project, player_id, platform, idp, idp_subject, auth_time, created_at,
        expires_at, absolute_expires_at, used_at, ended_at, ended_reason)
    VALUES (:id, :browser_id, :project, :player_id, :platform, :idp, :idp_subject, :auth_time, :created_at,
        :expires_at, :absolute_expires_at, :used_at, :ended_at, :ended_reason)
    ON CONFLICT DO NOTHING"""

RENEW_SESSION = """
    UPDATE sessions SET platform = :platform, idp = :idp, idp_subject = :idp_subject, auth_time = :now,
        used_at = :now, expires_at = :expires_at
    WHERE id = :session_id AND ended_at IS NULL"""

TOUCH_SESSION = """
    UPDATE sessions SET used_at = :now, expires_at = :expires_at
    WHERE id = :session_id AND ended_at IS NULL"""

INSERT_SESSION_CLIENT = """
    INSERT INTO session_clients (session_id, client_id) VALUES (:session_id, :client_id)
    ON CONFLICT DO NOTHING"""

END_SESSION = """
    UPDATE sessions SET ended_at = :now, ended_reason = :reason
    WHERE id = :session_id AND ended_at IS NULL"""

END_SESSIONS = """
    UPDATE sessions SET ended_at = :now, ended_reason = :reason
    WHERE player_id = :player_id AND ended_at IS NULL
        AND (:idp = '' OR (idp = :idp AND idp_subject = :idp_subject))"""

REVOKE_WITHOUT_REFRESH = """
    UPDATE grants SET revoked_at = :now, revoked_reason = :reason
    WHERE session_id = :session_id AND session_id <> 0 AND refresh_generation = 0 AND client_id <> :spared
        AND revoked_at IS NULL"""

REVOKE_OF_CLIENT = """
    UPDATE grants SET revoked_at = :now, revoked_reason = :reason
    WHERE session_id = :session_id AND session_id <> 0 AND client_id = :client_id AND revoked_at IS NULL"""

SELECT_SESSIONS = f"""
    SELECT {SESSION}, {PLAYER}
    FROM sessions s JOIN players p ON p.id = s.player_id
    WHERE s.browser_id = :browser_id AND s.ended_at IS NULL ORDER BY s.id"""  # noqa: S608 - columns from this file

SELECT_PLAYER_SESSIONS = f"""
    SELECT {SESSION}, {PLAYER}
    FROM sessions s JOIN players p ON p.id = s.player_id
    WHERE s.player_id = :player_id AND s.ended_at IS NULL ORDER BY s.id"""  # noqa: S608 - columns from this file

SELECT_SESSION = f"""
    SELECT {SESSION}, {PLAYER}
    FROM sessions s JOIN players p ON p.id = s.player_id
    WHERE s.id = :session_id"""  # noqa: S608 - columns from this file

SELECT_SESSION_CLIENTS = "SELECT client_id FROM session_clients WHERE session_id = :session_id ORDER BY client_id"

# --- consents and profiles ---

UPSERT_CONSENT = """
    INSERT INTO consents (player_id, client_id, scope, given_at) VALUES (:player_id, :client_id, :scope, :now)
    ON CONFLICT (player_id, client_id) DO UPDATE SET scope = excluded.scope, given_at = excluded.given_at"""

# It changes nothing, but waits for whoever takes the consent back, and makes them wait.
USE_CONSENT = "UPDATE consents SET scope = scope WHERE player_id = :player_id AND client_id = :client_id"

# What somebody let a client have before they were merged into another player, the client has of that player now.
_OF_ALL = "player_id IN (SELECT :player_id UNION ALL SELECT id FROM players WHERE merged_into = :player_id)"

SELECT_CONSENTS = f"""
    SELECT client_id, scope, given_at FROM consents WHERE {_OF_ALL}
    ORDER BY client_id, given_at, player_id"""  # noqa: S608 - a condition from this file

SELECT_OWN_CONSENTS = """
    SELECT client_id, scope, given_at FROM consents WHERE player_id = :player_id ORDER BY client_id"""

DELETE_CONSENT = f"DELETE FROM consents WHERE client_id = :client_id AND {_OF_ALL}"  # noqa: S608 - as above

REVOKE_OF_PLAYER_AND_CLIENT = f"""
    UPDATE grants SET revoked_at = :now, revoked_reason = :reason
    WHERE {_OF_ALL} AND client_id = :client_id AND revoked_at IS NULL"""  # noqa: S608 - as above

UPSERT_PROFILE = """
    INSERT INTO profiles (player_id, profile) VALUES (:player_id, :profile)
    ON CONFLICT (player_id) DO UPDATE SET profile = excluded.profile"""

SELECT_PROFILE = "SELECT profile FROM profiles WHERE player_id = :player_id"

DELETE_PROFILE = "DELETE FROM profiles WHERE player_id = :player_id"

# --- logout notices ---

INSERT_NOTICE = """
    INSERT INTO logout_notices (id, client_id, session_id, sub, created_at, next_attempt_at, attempts)
    VALUES (:id, :client_id, :session_id, :sub, :created_at, :next_attempt_at, :attempts)
    ON CONFLICT DO NOTHING"""

POSTPONE_NOTICE = """
    UPDATE logout_notices SET next_attempt_at = :next_attempt_at, attempts = attempts + 1
    WHERE id = :notice_id AND attempts = :attempts"""

DELETE_NOTICE = "DELETE FROM logout_notices WHERE id = :notice_id"

SELECT_DUE_NOTICES = """
    SELECT id, client_id, session_id, sub, created_at, next_attempt_at, attempts
    FROM logout_notices WHERE next_attempt_at <= :now ORDER BY next_attempt_at, id LIMIT :limit"""

# --- sweeping ---

SWEEP_REQUESTS = """
    DELETE FROM requests WHERE id IN (
        SELECT id FROM requests WHERE expires_at < :now ORDER BY expires_at, id LIMIT :limit)"""

SWEEP_TRIPS = """
    DELETE FROM trips WHERE id IN (
        SELECT id FROM trips WHERE expires_at < :now ORDER BY expires_at, id LIMIT :limit)"""

SWEEP_BROWSERS = """
    DELETE FROM browsers WHERE expires_at < :now AND id IN (
        SELECT id FROM browsers WHERE expires_at < :now ORDER BY expires_at, id LIMIT :limit)"""

# Who took part in a session goes with it, by the foreign key.
SWEEP_SESSIONS = """
    DELETE FROM sessions WHERE id IN (
        SELECT id FROM sessions WHERE absolute_expires_at < :now ORDER BY absolute_expires_at, id LIMIT :limit)"""
