"""Pages of the console, one a file; each lists its routes with who may call them in PAGES."""
