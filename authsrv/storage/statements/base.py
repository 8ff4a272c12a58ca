"""The statements about players, grants, credentials and the file's clients; the modules beside it have the others.

Each is written once, with `:name` placeholders; SQLite takes them as they are, `postgres/compiled.py` makes those of
PostgreSQL, which cannot guess the type of a NULL in a SELECT and wants it cast. Owns tables, columns and guards as SQL
text. Knows no driver, no model and no transaction.
"""

SELECT_SCHEMA_REVISION = "SELECT version_num FROM alembic_version"
SELECT_EPOCH = "SELECT value FROM epochs WHERE id = 1"
RAISE_EPOCH = "UPDATE epochs SET value = value + 1 WHERE id = 1 RETURNING value"

# --- players and identities ---

PLAYER = """p.id, p.sub, p.project, p.display_name, p.created_at, p.last_login_at, p.version, p.barred_until,
        p.barred_as, p.age_group, p.name_from, p.merged_into"""
"""The columns of a player, whose table every statement calls `p`."""

INSERT_PLAYER = """
    INSERT INTO players (id, sub, project, display_name, created_at, last_login_at, version, barred_until, barred_as,
        age_group, name_from, merged_into, name_key)
    VALUES (:id, :sub, :project, :display_name, :created_at, :last_login_at, :version, :barred_until, :barred_as,
        :age_group, :name_from, :merged_into, :name_key)
    ON CONFLICT DO NOTHING"""

# Names are indexed, so most logins, which bring no new one, leave them alone.
UPDATE_PLAYER_LOGIN = "UPDATE players SET last_login_at = :now WHERE id = :player_id AND version = :version"

UPDATE_PLAYER_LOGIN_AND_NAME = """
    UPDATE players SET last_login_at = :now,
        display_name = CASE WHEN name_from IN ('', :kind) THEN :display_name ELSE display_name END,
        name_key = CASE WHEN name_from IN ('', :kind) THEN :name_key ELSE name_key END
    WHERE id = :player_id AND version = :version"""

# Who was merged into another player owns nothing, whatever the caller took them for.
INSERT_IDENTITY = """
    INSERT INTO identities (project, kind, environment, subject, player_id, linked_at, last_used_at)
    SELECT :project, :kind, :environment, :subject, :player_id, :now, :now
    WHERE EXISTS (SELECT 1 FROM players p WHERE p.id = :player_id AND p.merged_into IS NULL)
    ON CONFLICT DO NOTHING"""

# A ban that came since the identity was looked up is seen by the very statement that gives it to somebody.
INSERT_UNBANNED_IDENTITY = """
    INSERT INTO identities (project, kind, environment, subject, player_id, linked_at, last_used_at)
    SELECT :project, :kind, :environment, :subject, :player_id, :now, :now
    WHERE EXISTS (SELECT 1 FROM players p WHERE p.id = :player_id AND p.merged_into IS NULL) AND NOT EXISTS (
        SELECT 1 FROM identity_bans m JOIN bans b ON b.id = m.ban_id
        WHERE m.digest = :mark AND b.lifted_at IS NULL AND b.until > :now)
    ON CONFLICT DO NOTHING"""

UPDATE_IDENTITY_USE = """
    UPDATE identities SET last_used_at = :now
    WHERE project = :project AND kind = :kind AND environment = :environment AND subject = :subject
        AND player_id = :player_id"""

SELECT_PLAYER_BY_IDENTITY = f"""
    SELECT {PLAYER}
    FROM identities i JOIN players p ON p.id = i.player_id
    WHERE i.project = :project AND i.kind = :kind AND i.environment = :environment AND i.subject = :subject
    """  # noqa: S608 - columns from this file

SELECT_PLAYER_BY_SUB = f"SELECT {PLAYER} FROM players p WHERE p.sub = :sub"  # noqa: S608 - columns from this file

# --- grants ---

INSERT_GRANT = """
    INSERT INTO grants (id, project, client_id, player_id, scope, audience, platform, idp, idp_subject, auth_time,
        created_at, expires_at, absolute_expires_at, nonce, redirect_uri, delivered_as_json, code_hash,
        code_expires_at, code_used_at, code_challenge, code_failures, refresh_hash, refresh_generation,
        refresh_previous_hash, refresh_rotated_at, refresh_successor, revoked_at, revoked_reason, session_id, claims)
    VALUES (:id, :project, :client_id, :player_id, :scope, :audience, :platform, :idp, :idp_subject, :auth_time,
        :created_at, :expires_at, :absolute_expires_at, :nonce, :redirect_uri, :delivered_as_json, :code_hash,
        :code_expires_at, :code_used_at, :code_challenge, :code_failures, :refresh_hash, :refresh_generation,
        :refresh_previous_hash, :refresh_rotated_at, :refresh_successor, :revoked_at, :revoked_reason, :session_id,
        :claims)
    ON CONFLICT DO NOTHING"""

# Whoever was merged into another account since is that one now. Two values are compared one by one: for `IN` SQLite
# fills a table anew in each execution, and two of them were a quarter of the whole.
SELECT_GRANT = f"""
    SELECT g.id, g.project, g.client_id, g.player_id, g.scope, g.audience, g.platform, g.idp, g.idp_subject,
        g.auth_time, g.created_at, g.expires_at, g.absolute_expires_at, g.nonce, g.redirect_uri, g.delivered_as_json,
        g.code_hash, g.code_expires_at, g.code_used_at, g.code_challenge, g.code_failures, g.refresh_hash,
        g.refresh_generation, g.refresh_previous_hash, g.refresh_rotated_at, g.refresh_successor, g.revoked_at,
        g.revoked_reason, g.session_id, g.claims,
        {PLAYER}, coalesce(f.profile, ''),
        coalesce((SELECT max(n.not_before) FROM not_befores n
            WHERE (n.kind = 'player' AND n.subject = p.sub) OR (n.kind = 'player' AND n.subject = o.sub)
                OR (n.kind = 'project' AND n.subject = g.project)
                OR (n.kind = 'client' AND n.subject = g.client_id)), 0) AS not_before,
        EXISTS (SELECT 1 FROM revoked_tokens t WHERE t.jti = :jti)
            OR EXISTS (SELECT 1 FROM revoked_tokens t WHERE t.jti = :origin_jti) AS token_revoked,
        coalesce((SELECT n.not_before FROM not_befores n WHERE n.kind = 'client' AND n.subject = :client_id), 0)
            AS client_not_before,
        o.sub,
        EXISTS (SELECT 1 FROM players a WHERE a.sub = :sub AND coalesce(a.merged_into, a.id) = p.id)
            AS sub_is_players
    FROM grants g JOIN players o ON o.id = g.player_id JOIN players p ON p.id = coalesce(o.merged_into, o.id)
        LEFT JOIN profiles f ON f.player_id = p.id
    WHERE g.id = :grant_id"""  # noqa: S608 - columns from this file

REDEEM_CODE = """
    UPDATE grants SET code_used_at = :now, refresh_hash = :refresh_hash, refresh_generation = :refresh_generation,
        expires_at = :expires_at
    WHERE id = :grant_id AND code_hash IS NOT NULL AND code_used_at IS NULL AND revoked_at IS NULL"""

COUNT_CODE_FAILURE = "UPDATE grants SET code_failures = code_failures + 1 WHERE id = :grant_id"

ROTATE_REFRESH_TOKEN = """
    UPDATE grants SET refresh_hash = :successor, refresh_generation = refresh_generation + 1,
        refresh_previous_hash = :current, refresh_rotated_at = :now, refresh_successor = :sealed_successor,
        expires_at = :expires_at
    WHERE id = :grant_id AND refresh_hash = :current AND revoked_at IS NULL"""

REVOKE_GRANT = """
    UPDATE grants SET revoked_at = :now, revoked_reason = :reason
    WHERE id = :grant_id AND revoked_at IS NULL"""

# Of an answer without a code, a refresh token that was never rotated is what nobody used.
# The replaced grant is looked up here and not by the caller: two repeats at once would both replace the first one.
REVOKE_REPLACED_GRANT = """
    UPDATE grants SET revoked_at = :now, revoked_reason = :reason
    WHERE id = (SELECT grant_id FROM credentials WHERE digest = :digest AND holder = :holder AND state = 'settled')
        AND id <> :grant_id AND revoked_at IS NULL
        AND CASE WHEN code_hash IS NULL THEN refresh_generation <= 1 ELSE code_used_at IS NULL END"""

# --- single-use credentials ---

# The guard is in the upsert: a known digest is overwritten only when its row is over, or its lease is and may be taken.
RESERVE = """
    INSERT INTO credentials (digest, requester, holder, state, lease_until, created_at, expires_at, settled_at, outcome,
        identity_project, identity_kind, identity_environment, identity_subject, grant_id)
    VALUES (:digest, :requester, :holder, :state, :lease_until, :created_at, :expires_at, :settled_at, :outcome,
        :identity_project, :identity_kind, :identity_environment, :identity_subject, :grant_id)
    ON CONFLICT (digest) DO UPDATE SET requester = excluded.requester, holder = excluded.holder, state = excluded.state,
        lease_until = excluded.lease_until, created_at = excluded.created_at, expires_at = excluded.expires_at,
        settled_at = excluded.settled_at, outcome = excluded.outcome, identity_project = excluded.identity_project,
        identity_kind = excluded.identity_kind, identity_environment = excluded.identity_environment,
        identity_subject = excluded.identity_subject, grant_id = excluded.grant_id
    WHERE credentials.expires_at < excluded.created_at
        OR (:take_over = 1 AND credentials.state = 'pending' AND credentials.lease_until <= excluded.created_at)"""

SELECT_RESERVATION = """
    SELECT digest, requester, holder, state, lease_until, created_at, expires_at, settled_at, outcome,
        identity_project, identity_kind, identity_environment, identity_subject, grant_id
    FROM credentials WHERE digest = :digest"""

# A repeat does not move settled_at: the window for repeats is counted from the first answer.
SETTLE_CREDENTIAL = """
    UPDATE credentials SET settled_at = CASE WHEN state = 'settled' THEN settled_at ELSE :now END, state = 'settled',
        identity_project = :project, identity_kind = :kind, identity_environment = :environment,
        identity_subject = :subject, grant_id = :grant_id
    WHERE digest = :digest AND holder = :holder AND state IN ('pending', 'settled')"""

REFUSE_CREDENTIAL = """
    UPDATE credentials SET state = 'refused', outcome = :outcome, settled_at = :now
    WHERE digest = :digest AND holder = :holder AND state = 'pending'"""

RELEASE_CREDENTIAL = "DELETE FROM credentials WHERE digest = :digest AND holder = :holder AND state = 'pending'"

# --- clients ---

DISABLE_CLIENTS = "UPDATE clients SET disabled_at = :now WHERE disabled_at IS NULL"

VOID_TOKENS_OF_MOVED_CLIENT = """
    INSERT INTO not_befores (kind, subject, not_before)
    SELECT 'client', client_id, :now + 1 FROM clients WHERE client_id = :client_id AND project <> :project
    ON CONFLICT (kind, subject) DO UPDATE SET not_before = excluded.not_before
    WHERE excluded.not_before > not_befores.not_before"""

UPSERT_CLIENT = """
    INSERT INTO clients (client_id, project, name, disabled_at) VALUES (:client_id, :project, :name, NULL)
    ON CONFLICT (client_id) DO UPDATE SET project = excluded.project, name = excluded.name, disabled_at = NULL"""

ADD_CLIENT = """
    INSERT INTO clients (client_id, project, name, disabled_at) VALUES (:client_id, :project, :name, NULL)
    ON CONFLICT (client_id) DO UPDATE SET name = excluded.name, disabled_at = NULL
    WHERE clients.project = excluded.project"""

SELECT_CLIENTS = "SELECT client_id, project, name, disabled_at FROM clients ORDER BY client_id"

# --- sweeping ---

# The condition stands outside too, here and where else a row may be renewed: a statement that waited for somebody looks
# again at the row, but not at what was selected before.
SWEEP_CREDENTIALS = """
    DELETE FROM credentials WHERE expires_at < :now AND digest IN (
        SELECT digest FROM credentials WHERE expires_at < :now ORDER BY expires_at, digest LIMIT :limit)"""

# Grants are walked by id: an index on expires_at would have to be updated by every refresh.
SELECT_GRANT_WINDOW = """
    SELECT max(id), count(*),
        coalesce(sum(CASE WHEN expires_at < :now AND (code_used_at IS NULL OR code_used_at <= :kept_since)
            AND (revoked_at IS NULL OR revoked_at <= :told_since) THEN 1 ELSE 0 END), 0),
        coalesce(sum(CASE WHEN refresh_successor IS NOT NULL AND refresh_rotated_at <= :kept_since
            THEN 1 ELSE 0 END), 0)
    FROM (SELECT id, expires_at, code_used_at, revoked_at, refresh_successor, refresh_rotated_at
        FROM grants WHERE id > :after ORDER BY id LIMIT :limit) AS candidates"""

SWEEP_GRANTS = """
    DELETE FROM grants WHERE id > :after AND id <= :upto
        AND expires_at < :now AND (code_used_at IS NULL OR code_used_at <= :kept_since)
        AND (revoked_at IS NULL OR revoked_at <= :told_since)"""

WIPE_SUCCESSORS = """
    UPDATE grants SET refresh_successor = NULL WHERE id > :after AND id <= :upto
        AND refresh_successor IS NOT NULL AND refresh_rotated_at <= :kept_since"""
