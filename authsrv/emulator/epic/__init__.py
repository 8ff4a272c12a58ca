"""Epic, emulated: key sets, the token endpoint and a factory for tokens."""
