"""What every process of ours is made of, and nothing of what any of them does. Knows no process."""
