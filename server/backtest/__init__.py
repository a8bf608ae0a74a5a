"""Back-tests: what other rules would have found in the events that are stored."""
