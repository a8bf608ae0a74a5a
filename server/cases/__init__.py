"""Cases: alerts that are looked into together, with notes, an outcome and evidence packs."""
