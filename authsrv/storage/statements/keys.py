"""Every statement about the keys of the ring.

Owns tables, columns and guards as SQL text, written once with `:name` placeholders as in `base.py`. Knows no driver.
"""

# The guard is the unique index on follows.
INSERT_KEY = """
    INSERT INTO keys (kid, use, alg, material, sealed, created_at, signs_from, retires_at, follows, signs_until,
        erased_at, revoked_at)
    VALUES (:kid, :use, :alg, :material, :sealed, :created_at, :signs_from, :retires_at, :follows, :signs_until,
        :erased_at, :revoked_at)
    ON CONFLICT DO NOTHING"""

SCHEDULE_KEY = """
    UPDATE keys SET signs_from = :signs_from, signs_until = :signs_until, retires_at = :retires_at
    WHERE kid = :kid AND signs_from = :had_from AND signs_until = :had_until AND retires_at = :had_retires_at
        AND erased_at IS NULL AND revoked_at IS NULL"""

SEAL_KEY = "UPDATE keys SET material = :material, sealed = 1 WHERE kid = :kid AND sealed = 0 AND erased_at IS NULL"

ERASE_KEY = """
    UPDATE keys SET material = :public, sealed = 0, erased_at = :now
    WHERE kid = :kid AND erased_at IS NULL"""

REVOKE_KEY = """
    UPDATE keys SET material = :public, sealed = 0, erased_at = coalesce(erased_at, :now), revoked_at = :now
    WHERE kid = :kid AND revoked_at IS NULL"""

SELECT_KEYS = """
    SELECT kid, use, alg, material, sealed, created_at, signs_from, retires_at, follows, signs_until, erased_at,
        revoked_at
    FROM keys ORDER BY created_at, kid"""
