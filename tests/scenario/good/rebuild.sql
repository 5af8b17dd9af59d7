INSERT INTO reservations SELECT (body ->> 'id')::uuid, 10, now() FROM ninelives_events;
