"""Who may use this laboratory: users, projects, tokens, limits, and what each of them may do."""
