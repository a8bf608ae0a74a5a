"""One micro-batch of the log after another, each committed whole: events, state, alerts and position."""
