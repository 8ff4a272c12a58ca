"""Figures about the server for those who run it: counted where things happen, rendered when somebody asks.

Nothing here names a player, a client or an address. What counts imports no Prometheus; `exposition.py` alone does, and
is imported only where metrics are switched on.
"""
