"""Steam, emulated: the Web API and a factory for tickets."""
