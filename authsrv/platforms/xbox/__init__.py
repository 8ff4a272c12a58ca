"""Xbox Live: partner XSTS tokens and the proof of possession that may come with them."""
