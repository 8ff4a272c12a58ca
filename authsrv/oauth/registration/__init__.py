"""Clients that register and manage themselves at run time (RFC 7591, RFC 7592)."""
