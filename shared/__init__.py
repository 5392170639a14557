"""What ingest and workers must agree on. Imports nothing of ours."""
