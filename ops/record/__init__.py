"""The operator's questions to the record: what happened to a message, what failed, what is missing.

Modules named ``…_command`` print; the others return data and never print, for the commands and for the page.
"""
