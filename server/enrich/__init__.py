"""What is known around an event at its own time: who, HR status, account, device, local time."""
