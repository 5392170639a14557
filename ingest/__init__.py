"""The edge: the only HTTP server. Verifies a callback, makes it durable, answers.

The path of one callback (design: one value per arrow)::

    edge.Edge.handle     request → bytes within limits          → Callback
    receive.Receiver     verify (shared.verification)           → Verification
                         envelope                               → Envelope
                         batcher.Batcher.put                    → new | duplicate   (durable in Redis)
                         parking.Parking.park                   → kept              (what nobody can vouch for yet)
    shared.policy.TABLE  verdict                                → status
"""
