INSERT INTO reservations SELECT gen_random_uuid(), 10, :from FROM generate_series(1, :rows);
