"""Every statement about tokens that end before their time.

Owns tables, columns and guards as SQL text, written once with `:name` placeholders as in `base.py`. Knows no driver.
"""

INSERT_REVOKED_TOKEN = """
    INSERT INTO revoked_tokens (jti, expires_at) VALUES (:jti, :expires_at) ON CONFLICT DO NOTHING"""

RAISE_NOT_BEFORE = """
    INSERT INTO not_befores (kind, subject, not_before) VALUES (:kind, :subject, :not_before)
    ON CONFLICT (kind, subject) DO UPDATE SET not_before = excluded.not_before
    WHERE excluded.not_before > not_befores.not_before"""

SELECT_STANDING = """
    SELECT coalesce((SELECT max(n.not_before) FROM not_befores n
            WHERE (n.kind = 'client' AND n.subject = :client_id) OR (n.kind = 'project' AND n.subject = :project)), 0),
        EXISTS (SELECT 1 FROM revoked_tokens t WHERE t.jti = :jti)"""

# A code that nobody redeemed gave no token that a verifier could meet. Where a restored backup ended every grant there
# is, the time before which everything of the project is void says as much in one line.
SELECT_REVOCATIONS = """
    SELECT 'jti' AS kind, jti AS name, 0 AS number FROM revoked_tokens WHERE expires_at > :now
    UNION ALL SELECT 'grant', '', id FROM grants
        WHERE revoked_at IS NOT NULL AND revoked_at > :since AND (code_hash IS NULL OR code_used_at IS NOT NULL)
            AND revoked_reason <> 'restored'
    UNION ALL SELECT kind, subject, not_before FROM not_befores WHERE not_before > :since
    UNION ALL SELECT 'disabled', client_id, disabled_at FROM clients WHERE disabled_at > :since
    UNION ALL SELECT 'kid', kid, revoked_at FROM keys WHERE revoked_at > :since"""

SWEEP_REVOKED_TOKENS = """
    DELETE FROM revoked_tokens WHERE jti IN (
        SELECT jti FROM revoked_tokens WHERE expires_at < :now ORDER BY expires_at, jti LIMIT :limit)"""
