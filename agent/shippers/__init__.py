"""Ways from the agent's spool to the server's log. One contract, one file a transport; see contract.py."""
