"""Every SQL statement, by what it is about, written once for SQLite and PostgreSQL. `base.py` says how."""
