"""The commands of `leaver`, a module each."""
