"""Keys, signatures, and who checks them."""
