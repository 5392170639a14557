"""Write the record: read what happened from the stream in Redis, and store it in SQLite or PostgreSQL."""
