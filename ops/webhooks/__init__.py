"""``ackfirst webhooks``: show and set the URLs to which Nexmo sends an account's message callbacks."""
