"""The operator's commands: the command line, the one-terminal stack, the page, quarantine, spool and rejects."""
