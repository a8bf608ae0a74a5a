"""What programs call: each file lists its calls in API, and the OpenAPI document is made from these."""
