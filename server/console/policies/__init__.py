"""What the pages about policies share: what a viewer may see of them, filters, how a change is published."""
