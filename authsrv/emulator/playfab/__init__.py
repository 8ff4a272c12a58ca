"""PlayFab, emulated: the one call that logs a player in by an id of the caller's."""
