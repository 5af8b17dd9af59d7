"""The controls that drills give evidence for: a file a framework, and what reads and checks them."""
