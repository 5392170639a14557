"""The edge: the only HTTP server. Verifies a callback, makes it durable, answers.

The path of one callback, one value per arrow::

    server, connections  bytes within limits                    → request
    http.Edge            read the body within limits            → Arrival (Callback and evidence)
    receiver.Receiver    verify (shared.verification)           → Verification
                         build the envelope                     → Envelope
                         sink.FallbackSink.put                  → new | duplicate | spooled
                         quarantine.BoundedQuarantine.add       → stored   (what may be genuine, but is not confirmed)
    shared.policy.TABLE  verdict                                → Answer
    request_log          count it, write its line
"""
