"""Pretends to be Nexmo: makes callbacks of every family, signs them and sends them.

The path of one callback::

    content.RECIPES      what the provider has to tell          → Content
    traffic.plan         who sends it, how, and in what order   → Planned
    signing.Signer       token or sig, fresh at each attempt    → Request
    provider.Provider    its queue, when it is attempted        → Life
    sender.Sender        open-loop pacing, over wire.Wire       → Delivery
    report / ledger      what was answered, what it must become
"""
