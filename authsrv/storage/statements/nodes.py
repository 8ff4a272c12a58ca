"""Every statement about what nodes share: leases, and the versions of what each keeps in memory.

Owns tables, columns and guards as SQL text, written once with `:name` placeholders as in `base.py`. Knows no driver.
"""

TAKE_LEASE = """
    INSERT INTO leases (name, holder, expires_at) VALUES (:name, :holder, :until)
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
    WHERE leases.holder = excluded.holder OR leases.expires_at <= :now"""

RELEASE_LEASE = "DELETE FROM leases WHERE name = :name AND holder = :holder"

SELECT_LEASES = "SELECT name, holder, expires_at FROM leases WHERE expires_at > :now ORDER BY name"

# Long after: a lease's end is the database's time, and a sweep's is a node's.
SWEEP_LEASES = """
    DELETE FROM leases WHERE expires_at <= :kept_since AND name IN (
        SELECT name FROM leases WHERE expires_at <= :kept_since ORDER BY name LIMIT :limit)"""

RAISE_VERSION = """
    INSERT INTO versions (name, value) VALUES (:name, 1)
    ON CONFLICT (name) DO UPDATE SET value = versions.value + 1"""

SELECT_OLDEST_CODE = "SELECT value FROM versions WHERE name = 'oldest_code'"

SELECT_VERSIONS = "SELECT name, value FROM versions"
