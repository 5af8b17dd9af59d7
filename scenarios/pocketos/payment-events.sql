-- What the payment provider keeps of each captured payment: who paid how much, when, for which booking reference.
SELECT jsonb_build_object(
    'type', 'payment.captured',
    'payment', p.id,
    'reference', r.id,
    'amount', p.amount,
    'currency', p.currency,
    'captured_at', p.captured_at,
    'email', r.customer_email,
    'description', format('Car rental, %s days from %s', r.return_on - r.pickup_on, r.pickup_on)
)
FROM payments AS p
JOIN reservations AS r ON r.id = p.reservation_id
WHERE p.captured_at > (:from)::timestamptz AND p.captured_at <= (:to)::timestamptz
ORDER BY p.captured_at
