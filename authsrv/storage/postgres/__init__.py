"""Storage in PostgreSQL. `storage.py` is the backend, `pipeline.py` one round trip. The only importer of psycopg."""
