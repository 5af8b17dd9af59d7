-- A customer who has paid and will find no car: nobody knows which one, or for whom.
SELECT reservations.id, reservations.pickup_on, reservations.customer_email
FROM reservations
JOIN payments ON payments.reservation_id = reservations.id
WHERE reservations.vehicle_id IS NULL OR reservations.customer_name IS NULL
ORDER BY reservations.pickup_on
