"""Run the command line: ``python -m ackfirst``."""

from ackfirst.ops.cli import main

main()
