"""Erasing a person, an account of nobody, or days, from all that the server keeps, while the stream runs."""
