"""A company that does not exist, to try Leaver on and to measure it with."""
