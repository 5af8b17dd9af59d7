"""One Protocol per kind of driver, and the lookup of drivers by name."""
