"""Xbox Live, emulated: Microsoft's key lists, a factory for XSTS tokens and a signing client."""
