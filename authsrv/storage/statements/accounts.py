"""Every statement about accounts: who owns which identity, merges, bans, the journal, link codes, proofs used once.

Owns tables, columns and guards as SQL text, written once with `:name` placeholders as in `base.py`. Knows no driver.
"""

from authsrv.storage.statements.base import PLAYER

_BAN = "b.id, b.project, b.player_id, b.kind, b.reason, b.decided_by, b.created_at, b.until, b.lifted_at"
_NO_PLAYER = ", ".join(["NULL"] * len(PLAYER.split(",")))
_NO_BAN = ", ".join(["NULL"] * len(_BAN.split(",")))
_EVENT = """e.id, e.project, e.kind, e.at, e.player_id, e.other_id, e.identity_kind, e.identity_environment,
        e.identity_subject, e.actor, e.actor_name, e.client_id, e.address, e.rule, e.reason, e.facts,
        e.reversible_until, e.reversed_by"""
_LINK_CODE = """c.id, c.code_hash, c.project, c.player_id, c.client_id, c.grant_id, c.check_number, c.return_to,
        c.created_at, c.expires_at, c.used_at"""

# --- reading ---

# The owner, if there is one, and every ban in force on the identity, which may be nobody's.
SELECT_OWNERSHIP = f"""
    SELECT {PLAYER}, {_NO_BAN}
    FROM identities i JOIN players p ON p.id = i.player_id
    WHERE i.project = :project AND i.kind = :kind AND i.environment = :environment AND i.subject = :subject
    UNION ALL SELECT {_NO_PLAYER}, {_BAN}
    FROM identity_bans m JOIN bans b ON b.id = m.ban_id
    WHERE m.digest = :mark AND b.lifted_at IS NULL AND b.until > :now"""  # noqa: S608 - columns from this file

SELECT_ACCOUNT = f"""
    SELECT {PLAYER}, p.segments, coalesce(f.profile, '')
    FROM players p LEFT JOIN profiles f ON f.player_id = p.id
    WHERE p.id = :player_id"""  # noqa: S608 - columns from this file

SELECT_IDENTITIES = """
    SELECT project, kind, environment, subject, player_id, linked_at, last_used_at
    FROM identities WHERE player_id = :player_id ORDER BY linked_at, kind, environment, subject"""

# In every environment: each is found by one step in the primary key, however many identities there are.
SELECT_IDENTITIES_OF_SUBJECT = """
    WITH RECURSIVE environments (environment) AS (
        SELECT min(f.environment) FROM identities f WHERE f.project = :project AND f.kind = :kind
        UNION ALL
        SELECT (SELECT min(n.environment) FROM identities n
            WHERE n.project = :project AND n.kind = :kind AND n.environment > environments.environment)
        FROM environments WHERE environments.environment IS NOT NULL)
    SELECT i.project, i.kind, i.environment, i.subject, i.player_id, i.linked_at, i.last_used_at
    FROM environments JOIN identities i ON i.project = :project AND i.kind = :kind
        AND i.environment = environments.environment AND i.subject = :subject
    ORDER BY i.environment"""

# Written with ranges, which every database finds by an index, in whatever language its texts are compared.
SELECT_PLAYERS_NAMED = f"""
    SELECT {PLAYER} FROM players p
    WHERE p.project = :project AND p.name_key <> '' AND (p.name_key, p.id) > (:after_key, :after_id)
        AND p.name_key < :beyond
    ORDER BY p.name_key, p.id LIMIT :limit"""  # noqa: S608 - columns from another file of ours

SELECT_ALIASES = f"SELECT {PLAYER} FROM players p WHERE p.merged_into = :player_id ORDER BY p.id"  # noqa: S608 - as above

SELECT_BANS = f"SELECT {_BAN} FROM bans b WHERE b.player_id = :player_id ORDER BY b.id"  # noqa: S608 - as above

SELECT_EVENT = f"SELECT {_EVENT} FROM events e WHERE e.id = :event_id"  # noqa: S608 - as above

_NEWEST = "AND e.id < :before ORDER BY e.id DESC LIMIT :limit"

# What an account was part of before it was merged is its survivor's past too, and gets no longer. An event may be
# found by two of these.
SELECT_EVENTS = f"""
    SELECT * FROM (SELECT {_EVENT} FROM events e WHERE e.player_id = :player_id {_NEWEST}) AS candidates
    UNION ALL SELECT * FROM (
        SELECT {_EVENT} FROM events e WHERE e.other_id = :player_id AND e.other_id <> 0 {_NEWEST}) AS candidates
    UNION ALL SELECT {_EVENT} FROM players a JOIN events e ON e.player_id = a.id
    WHERE a.merged_into = :player_id AND e.id < :before"""  # noqa: S608 - as above

SELECT_IDENTITY_EVENTS = f"""
    SELECT {_EVENT} FROM events e
    WHERE e.identity_subject = :subject AND e.identity_subject <> '' AND e.identity_kind = :kind
        AND e.identity_environment = :environment AND e.project = :project AND :event_kind IN ('', e.kind)
    ORDER BY e.id DESC LIMIT :limit"""  # noqa: S608 - as above

SELECT_LINK_CODE = f"""
    SELECT {_LINK_CODE}, {PLAYER}
    FROM link_codes c JOIN players p ON p.id = c.player_id
    WHERE c.code_hash = :code_hash"""  # noqa: S608 - as above

SELECT_NEWEST_LINK_CODE = f"""
    SELECT {_LINK_CODE} FROM link_codes c
    WHERE c.player_id = :player_id ORDER BY c.id DESC LIMIT 1"""  # noqa: S608 - as above

# --- links ---

ADVANCE_VERSION = "UPDATE players SET version = version + 1 WHERE id = :player_id AND version = :version"

DELETE_IDENTITY = """
    DELETE FROM identities
    WHERE project = :project AND kind = :kind AND environment = :environment AND subject = :subject
        AND player_id = :player_id"""

MOVE_IDENTITY = """
    UPDATE identities SET player_id = :to_id, linked_at = :now
    WHERE project = :project AND kind = :kind AND environment = :environment AND subject = :subject
        AND player_id = :from_id
        AND EXISTS (SELECT 1 FROM players p WHERE p.id = :to_id AND p.merged_into IS NULL)"""

END_GRANTS = """
    UPDATE grants SET revoked_at = :now, revoked_reason = :reason
    WHERE player_id = :player_id AND revoked_at IS NULL
        AND (:idp = '' OR (idp = :idp AND idp_subject = :idp_subject))"""

# --- merges ---

MERGE_PLAYER = """
    UPDATE players SET merged_into = :survivor_id
    WHERE id = :loser_id AND id <> :survivor_id AND merged_into IS NULL
        AND EXISTS (SELECT 1 FROM players s WHERE s.id = :survivor_id AND s.merged_into IS NULL)"""

FLATTEN_ALIASES = "UPDATE players SET merged_into = :survivor_id WHERE merged_into = :loser_id"

UNMERGE_PLAYER = "UPDATE players SET merged_into = NULL WHERE id = :loser_id AND merged_into = :survivor_id"

RETURN_ALIAS = "UPDATE players SET merged_into = :loser_id WHERE id = :alias_id AND merged_into = :survivor_id"

# --- bans ---

BAR_PLAYER = "UPDATE players SET barred_until = :until, barred_as = :kind WHERE id = :player_id"

INSERT_BAN = """
    INSERT INTO bans (id, project, player_id, kind, reason, decided_by, created_at, until, lifted_at)
    VALUES (:id, :project, :player_id, :kind, :reason, :decided_by, :created_at, :until, :lifted_at)
    ON CONFLICT DO NOTHING"""

INSERT_BAN_OF_NOBODYS = """
    INSERT INTO bans (id, project, player_id, kind, reason, decided_by, created_at, until, lifted_at)
    SELECT :id, :project, :player_id, :kind, :reason, :decided_by, :created_at, :until,
        CAST(:lifted_at AS BIGINT)
    WHERE NOT EXISTS (
        SELECT 1 FROM identities i
        WHERE i.project = :identity_project AND i.kind = :identity_kind AND i.environment = :identity_environment
            AND i.subject = :identity_subject)
    ON CONFLICT DO NOTHING"""

INSERT_IDENTITY_BAN = "INSERT INTO identity_bans (digest, ban_id) VALUES (:digest, :ban_id) ON CONFLICT DO NOTHING"

LIFT_BAN = "UPDATE bans SET lifted_at = :now WHERE id = :ban_id AND lifted_at IS NULL"

# --- what is told of a player ---

SET_DISPLAY_NAME = """
    UPDATE players SET display_name = :display_name, name_key = :name_key, name_from = :name_from
    WHERE id = :player_id"""

SET_SEGMENTS = "UPDATE players SET segments = :segments WHERE id = :player_id"

SET_AGE_GROUP = "UPDATE players SET age_group = :age_group WHERE id = :player_id"

# --- the journal ---

INSERT_EVENT = """
    INSERT INTO events (id, project, kind, at, player_id, other_id, identity_kind, identity_environment,
        identity_subject, actor, actor_name, client_id, address, rule, reason, facts, reversible_until, reversed_by)
    VALUES (:id, :project, :kind, :at, :player_id, :other_id, :identity_kind, :identity_environment,
        :identity_subject, :actor, :actor_name, :client_id, :address, :rule, :reason, :facts, :reversible_until,
        :reversed_by)
    ON CONFLICT DO NOTHING"""

REVERSE_EVENT = "UPDATE events SET reversed_by = :reversed_by WHERE id = :event_id AND reversed_by = 0"

# --- link codes, and what counts once ---

REMOVE_UNUSED_LINK_CODES = "DELETE FROM link_codes WHERE player_id = :player_id AND used_at IS NULL"

INSERT_LINK_CODE = """
    INSERT INTO link_codes (id, code_hash, project, player_id, client_id, grant_id, check_number, return_to,
        created_at, expires_at, used_at)
    VALUES (:id, :code_hash, :project, :player_id, :client_id, :grant_id, :check_number, :return_to, :created_at,
        :expires_at, :used_at)
    ON CONFLICT DO NOTHING"""

USE_LINK_CODE = "UPDATE link_codes SET used_at = :now WHERE id = :code_id AND used_at IS NULL"

INSERT_USED_PROOF = """
    INSERT INTO used_proofs (digest, expires_at) VALUES (:digest, :expires_at) ON CONFLICT DO NOTHING"""

# --- sweeping ---

SWEEP_LINK_CODES = """
    DELETE FROM link_codes WHERE id IN (
        SELECT id FROM link_codes WHERE expires_at < :now ORDER BY expires_at, id LIMIT :limit)"""

SWEEP_USED_PROOFS = """
    DELETE FROM used_proofs WHERE digest IN (
        SELECT digest FROM used_proofs WHERE expires_at < :now ORDER BY expires_at, digest LIMIT :limit)"""
