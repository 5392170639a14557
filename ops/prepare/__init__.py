"""``ackfirst prepare``: what the containers of ``docker-compose.yml`` find when they start: passwords, configuration."""
