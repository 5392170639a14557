"""Run replays: put recorded events back into their lanes, at a pace, beside live traffic."""
