"""Orders about players, each a function upon a `Desk`: who they are, and what support does for them or to them.

Who a player is, an order is told by their `sub` or by a platform account of theirs.
"""
