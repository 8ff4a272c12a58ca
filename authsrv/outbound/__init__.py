"""How platforms are called: fixed addresses, limits, a bulkhead and a circuit breaker each. Knows no platform."""
