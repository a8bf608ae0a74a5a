"""Evidence packs: a case as one archive that shows, without this server, whether it was changed."""
