"""What Envoys report of their own accord: the calls that they did not let through."""
