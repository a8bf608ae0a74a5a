"""A person's stored events scored again under what HR says now."""
