"""Jobs that have an id and no submission yet, with the input that was uploaded for them."""
