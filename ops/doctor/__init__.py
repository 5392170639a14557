"""``ackfirst doctor``: look over the whole installation and say what is wrong, what it means, and what helps."""
