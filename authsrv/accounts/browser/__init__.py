"""The account page in the browser: who may see it, what it shows, and what is ordered there."""
