"""The connect requests of GameSparks, for games that were written for it: its names and its error keys, our rules."""
