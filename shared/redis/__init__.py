"""Connect to Redis: URLs, TLS, Sentinel, errors, and the checks that are made before serving."""
