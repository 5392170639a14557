"""The contract with Nexmo (Vonage): read, classify, verify, sign, identify, normalise. Pure: no I/O, no framework."""
