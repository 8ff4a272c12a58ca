"""Starlette only: parse, call, answer. Every rule about players, grants and credentials lies below."""
