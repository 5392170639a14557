"""Replays: run the handlers again for events that have ended. What the operator's commands and the workers share."""
