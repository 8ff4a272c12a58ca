"""What the server does on its own, in the background: each job is one class with a `run`."""
