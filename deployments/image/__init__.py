"""What only the container image needs."""
