"""How a person with the keys brings a copy back, tool by tool, with nothing but the programs."""
