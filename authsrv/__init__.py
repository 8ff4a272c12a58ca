"""authsrv: the login server that a game studio runs itself."""

__version__ = "0.1.0"
