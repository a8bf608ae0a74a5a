"""Where what is declared of people (people/) meets what they did: the leaver ledger."""
