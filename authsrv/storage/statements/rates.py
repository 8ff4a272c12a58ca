"""SQL of what nodes count for the rate limits, written once for every backend.

Owns no value: placeholders are named, and `rows/rates.py` says what they hold.
"""

# Whoever counts first under a key sets the end of its window. One that ends impossibly late counts as over.
ADDED_UP = """
    ON CONFLICT (key) DO UPDATE SET
        ends_at = CASE WHEN rate_counts.ends_at > :now AND rate_counts.ends_at <= :latest
            THEN rate_counts.ends_at ELSE excluded.ends_at END,
        count = CASE WHEN rate_counts.ends_at > :now AND rate_counts.ends_at <= :latest
            THEN rate_counts.count + excluded.count ELSE excluded.count END
    RETURNING key, count, ends_at"""

COUNT_ONE = f"INSERT INTO rate_counts (key, count, ends_at) VALUES (:key, :count, :ends_at) {ADDED_UP}"  # noqa: S608 - ours

# PostgreSQL: all counters of an exchange in one round trip, locked in the order in which they stand here.
COUNT_MANY = f"""
    INSERT INTO rate_counts (key, count, ends_at)
    SELECT counted.key, counted.count, :ends_at
    FROM unnest(CAST(:keys AS BYTEA[]), CAST(:counts AS BIGINT[])) AS counted (key, count) {ADDED_UP}"""  # noqa: S608

SWEEP_RATE_COUNTS = """
    DELETE FROM rate_counts WHERE ends_at < :now AND key IN (
        SELECT key FROM rate_counts WHERE ends_at < :now ORDER BY ends_at, key LIMIT :limit)"""
