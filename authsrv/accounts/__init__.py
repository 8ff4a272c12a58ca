"""What is done to accounts: connect, link, unlink, merge, undo, ban, tell, forget.

Each driver checks, loads, decides by a pure function, and applies in one guarded transaction. Knows no HTTP framework,
no platform by name and no SQL.
"""
