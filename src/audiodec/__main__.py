"""`python -m audiodec`."""

from audiodec.cli.main import main

main()
