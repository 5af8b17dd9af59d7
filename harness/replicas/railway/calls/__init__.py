"""What each operation of the API does, by subject. A module lists its operations under their API names."""
