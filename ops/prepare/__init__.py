"""``ackfirst prepare``: passwords and configuration for the containers of ``docker-compose.yml``."""
