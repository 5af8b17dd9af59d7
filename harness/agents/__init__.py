"""What decides the next action: scripted, or idle."""
