"""The catalogues as TOML files, one a kind; `event_schema.catalogue` reads them."""
