"""Days of a company, one after the other through the real pipeline, and what the product says of each."""
