"""``ackfirst init-stack``: passwords and configuration files for the containers of ``docker-compose.yml``."""
