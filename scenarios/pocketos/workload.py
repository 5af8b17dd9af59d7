"""What the booking service does all day: take reservations and payments, change some, drop some drafts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

from locust import task

from harness.workload import LedgerUser

RATES = {0: 39, 1: 49, 2: 59}


class BookingService(LedgerUser):
    """One of its request handlers."""

    booked: list[UUID]

    def on_start(self) -> None:
        super().on_start()
        self.booked = []

    @task(8)
    def book(self) -> None:
        """A customer books and pays; the payment provider hears of it once the booking is committed."""
        now = datetime.now(UTC)
        vehicle, days = self.random.randint(1, 200), self.random.randint(1, 14)
        pickup = now.date() + timedelta(days=self.random.randint(1, 60))
        total = RATES[vehicle % 3] * days
        reservation, payment = self.key(), self.key()
        email = f"customer-{reservation}@example.com"
        with self.transaction() as tx:
            tx.insert(
                "reservations",
                reservation,
                vehicle_id=vehicle,
                customer_name=f"Customer {str(reservation)[:8]}",
                customer_email=email,
                pickup_on=pickup,
                return_on=pickup + timedelta(days=days),
                status="confirmed",
                total=total,
                created_at=now,
                updated_at=now,
            )
            tx.insert("payments", payment, reservation_id=reservation, amount=total, captured_at=now)
        if not tx.acknowledged:
            return
        self.booked.append(reservation)
        event = {
            "type": "payment.captured",
            "payment": str(payment),
            "reference": str(reservation),
            "amount": total,
            "currency": "USD",
            "captured_at": now.isoformat(),
            "email": email,
            "description": f"Car rental, {days} days from {pickup}",
        }
        self.store("payments").put(f"events/{payment}.jsonl", json.dumps(event).encode())

    @task(1)
    def cancel(self) -> None:
        """A customer cancels."""
        if not self.booked:
            return
        reservation = self.booked.pop(self.random.randrange(len(self.booked)))
        with self.transaction() as tx:
            tx.update("reservations", reservation, status="cancelled", updated_at=datetime.now(UTC))

    @task(1)
    def abandon(self) -> None:
        """A visitor starts a booking and leaves; the draft is deleted."""
        now = datetime.now(UTC)
        draft = self.key()
        with self.transaction() as tx:
            tx.insert(
                "reservations",
                draft,
                customer_email="visitor@example.com",
                pickup_on=now.date(),
                return_on=now.date() + timedelta(days=1),
                status="draft",
                total=39,
                created_at=now,
                updated_at=now,
            )
        with self.transaction() as tx:
            tx.delete("reservations", draft)
