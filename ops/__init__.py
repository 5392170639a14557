"""The operator's commands: the command line, the one-terminal stack, the dashboard, quarantine, spool and rejects."""
