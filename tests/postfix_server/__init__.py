"""A real Postfix for tests."""
