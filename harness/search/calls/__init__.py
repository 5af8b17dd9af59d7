"""One module a kind of service: the calls that a search makes to it, and what it learns from the answers."""
