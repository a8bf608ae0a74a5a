"""What the product is compared with, and how findings are counted."""
