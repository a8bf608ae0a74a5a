"""The queue of alerts as analysts work on it: its rows, filters, saved views and what changed in it."""
