"""What each change becomes on a SQL database: guarded statements with their values.

Each module registers its changes with `base.py`; whoever opens a storage imports them all.
"""
