"""What a user writes: models, the YAML loader with positions, merge patches of guards, JSON Schema."""
