"""What a drain does: it looks, claims, hands over."""
