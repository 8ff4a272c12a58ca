"""The silent login: a platform credential in, an authorization code out, without a browser."""
