"""Simulate Nexmo: make callbacks of every family, sign and send them, and retry those that are not accepted.

The path of one callback::

    content.RECIPES      contents of callbacks                            → Content
    traffic.Traffic      kind, order and encoding                         → Planned
    provider.Provider    when it is attempted, by Nexmo's ``rules``       → Life
    signing.Signer       token or sig, fresh for each attempt             → Request
    sender.Sender        open loop, over client.Client                    → Delivery
    report, ledger       answers against verdicts, acknowledged against handled
"""
