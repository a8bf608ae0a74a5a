"""What analysts do with alerts: take, snooze, close, merge, note, and undo all of that."""
