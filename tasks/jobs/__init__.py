"""One worker's hold on jobs: submission, claims, the attempt, its end."""
