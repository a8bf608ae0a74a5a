"""What happens on this machine, one file a channel. Each collector yields observations; see contract.py."""
