"""A real OpenID provider for tests, as a process of its own."""
