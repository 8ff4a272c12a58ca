"""What games on an Xsolla Login SDK ask of a login server beside tokens: the player, the keys, the logout."""
