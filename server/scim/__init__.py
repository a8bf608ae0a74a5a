"""SCIM 2.0 (RFC 7643, RFC 7644): identity providers tell which accounts people have. Over scim2-server."""
