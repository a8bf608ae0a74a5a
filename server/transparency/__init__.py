"""What is collected, why, for how long and who sees it: from the running configuration, in words."""
