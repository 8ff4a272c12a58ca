"""One server process: connections, signals, readiness and the commands it takes while it runs. Knows no endpoint."""
