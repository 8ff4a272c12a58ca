"""The sign-in in a browser: from the authorization request to its code, and the session to its end."""
