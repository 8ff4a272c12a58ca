"""Storage in one SQLite file. `storage.py` is the backend, `lane.py` what its threads are given to do."""
