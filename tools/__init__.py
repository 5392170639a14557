"""Generate the parts of the documentation that repeat the code: ``make docs``."""
