"""Epic Games: account and EOS Connect id_tokens, launcher exchange codes and authorization codes."""
