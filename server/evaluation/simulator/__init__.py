"""A made-up company with planted leaks, day by day, as events."""
