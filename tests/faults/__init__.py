"""What fails while events flow: each fault on the real programs, and nothing lost or doubled after it."""
