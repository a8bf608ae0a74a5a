"""From a record on the log to events that count once: admission, sequence numbers, clock, dead letters."""
