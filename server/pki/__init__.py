"""The installation's own certification authority: the server's certificate and the agents'."""
