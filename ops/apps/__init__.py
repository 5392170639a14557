"""``ackfirst apps``: list the applications, tell when one is quiet, and delete it at Nexmo."""
