SELECT to_json(r) FROM reservations AS r WHERE updated_at BETWEEN :from AND :to;
