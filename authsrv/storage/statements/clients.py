"""Every statement about clients that registered themselves.

Owns tables, columns and guards as SQL text, written once with `:name` placeholders as in `base.py`. Knows no driver.
"""

_COLUMNS = """id, client_id, project, metadata, secret_hash, token_hash, registered_with, created_at, expires_at,
        version"""

# The guard counts inside the statement: two registrations at once cannot both take the last place.
INSERT_REGISTERED_CLIENT = f"""
    INSERT INTO registered_clients ({_COLUMNS})
    SELECT :id, :client_id, :project, :metadata, CAST(:secret_hash AS BLOB), CAST(:token_hash AS BLOB),
        :registered_with, :created_at, CAST(:expires_at AS BIGINT), :version
    WHERE (SELECT count(*) FROM registered_clients WHERE project = :project) < :most
    ON CONFLICT DO NOTHING"""  # noqa: S608 - columns from this file

UPDATE_REGISTERED_CLIENT = """
    UPDATE registered_clients SET metadata = :metadata, secret_hash = :secret_hash, version = version + 1
    WHERE client_id = :client_id AND version = :version"""

USE_REGISTERED_CLIENT = "UPDATE registered_clients SET expires_at = NULL WHERE client_id = :client_id"

DELETE_REGISTERED_CLIENT = "DELETE FROM registered_clients WHERE client_id = :client_id"

DELETE_UNUSED_CLIENT = """
    DELETE FROM registered_clients WHERE client_id = :client_id AND expires_at IS NOT NULL AND expires_at < :now"""

# Both name the whole condition of the index over registered clients, or they would walk everybody's rows.
REVOKE_OF_REGISTERED_CLIENT = """
    UPDATE grants SET revoked_at = :now, revoked_reason = :reason
    WHERE client_id = :client_id AND substr(client_id, 1, 2) = 'c_' AND revoked_at IS NULL"""

DELETE_CONSENTS_OF_REGISTERED_CLIENT = """
    DELETE FROM consents WHERE client_id = :client_id AND substr(client_id, 1, 2) = 'c_'"""

SELECT_REGISTERED_CLIENTS = f"SELECT {_COLUMNS} FROM registered_clients ORDER BY id"  # noqa: S608 - columns from here

SELECT_REGISTERED_CLIENT = f"""
    SELECT {_COLUMNS} FROM registered_clients WHERE client_id = :client_id"""  # noqa: S608 - columns from this file
