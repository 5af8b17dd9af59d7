-- Bookings as far as the payment provider knows them. It knows neither the car nor the customer's name, and a
-- booking that was cancelled later still looks paid.
INSERT INTO reservations
    (id, vehicle_id, customer_name, customer_email, pickup_on, return_on, status, total, created_at, updated_at)
SELECT (body ->> 'reference')::uuid,
       NULL,
       NULL,
       body ->> 'email',
       trip.pickup_on,
       trip.pickup_on + trip.days,
       CASE WHEN trip.pickup_on + trip.days < current_date THEN 'completed' ELSE 'confirmed' END,
       (body ->> 'amount')::numeric,
       (body ->> 'captured_at')::timestamptz,
       (body ->> 'captured_at')::timestamptz
FROM ninelives_events
CROSS JOIN LATERAL (
    SELECT (regexp_match(body ->> 'description', '(\d+) days'))[1]::integer AS days,
           (regexp_match(body ->> 'description', 'from (\d{4}-\d\d-\d\d)'))[1]::date AS pickup_on
) AS trip
WHERE body ->> 'type' = 'payment.captured'
ON CONFLICT (id) DO NOTHING;

INSERT INTO payments (id, reservation_id, amount, currency, captured_at)
SELECT (body ->> 'payment')::uuid,
       (body ->> 'reference')::uuid,
       (body ->> 'amount')::numeric,
       body ->> 'currency',
       (body ->> 'captured_at')::timestamptz
FROM ninelives_events
WHERE body ->> 'type' = 'payment.captured'
ON CONFLICT (id) DO NOTHING;
