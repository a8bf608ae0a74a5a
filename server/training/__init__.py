"""Training of models from what the database holds, in a process of its own."""
