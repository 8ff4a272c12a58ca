"""PlayFab sessions for players who logged in here: one call to a studio's own title, for clients that ask for it.

Not a platform: nobody logs in by it, and no login fails because of it.
"""

from typing import Final

NAME: Final = "playfab"
"""The block of a project in the configuration, and the scope that asks for a session."""
LONGEST_CALL: Final = 3.0
"""Seconds that a token answer may wait for PlayFab, from the queue to the last byte."""
