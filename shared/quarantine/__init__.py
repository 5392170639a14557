"""Keep callbacks that could not be verified, in a bounded Redis stream, and read or remove them later."""
