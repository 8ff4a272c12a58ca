"""Faithful local Steam, Xbox and Epic: real HTTP, correct cryptography with keys of its own, invented players."""
