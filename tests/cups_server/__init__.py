"""A real CUPS for tests."""
