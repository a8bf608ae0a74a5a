"""`python -m server` is the command `leaver`."""

from server.command_line import main

main(prog_name="leaver")
