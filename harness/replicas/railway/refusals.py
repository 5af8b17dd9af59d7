"""What the API says when it does not do as it was told. The messages are those that clients have seen."""

from __future__ import annotations


class ApiError(Exception):
    """Becomes ``errors[0].message``; everything else that goes wrong is a ``Problem processing request``."""


class NotAuthorizedError(ApiError):
    """The token does not reach that far."""

    def __init__(self, message: str = "Not Authorized") -> None:
        super().__init__(message)


class HiddenError(NotAuthorizedError):
    """There is no such object, and the token sees too little to be told so. No guard has said no."""


class NotFoundError(ApiError):
    """There is no such object, or it has been deleted."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} not found")


WAITS = "Not Authorized until it is confirmed"
OWN = "Not Authorized to confirm what one has asked for oneself"
"""Hypothetical, as confirmations are."""

PROBLEM = "Problem processing request"
NO_PROJECT_TOKEN = "Project Token not found"  # noqa: S105 - a message, not a token
