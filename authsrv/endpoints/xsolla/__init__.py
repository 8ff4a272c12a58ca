"""The addresses below /api that have no counterpart on the standard surface."""
