"""The operator's side: the command line, the one-terminal stack, the dashboard."""
