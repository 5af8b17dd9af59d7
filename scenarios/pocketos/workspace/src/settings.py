"""Where the booking service finds its database."""

DATABASE_URL_VARIABLE = "DATABASE_URL"
