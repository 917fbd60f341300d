from decimal import Decimal


def risk_of(amount: Decimal | None, channel: str | None) -> int | None:
    """Give large orders of the web a higher risk."""
    if amount is None:
        return None
    return (2 if channel == "web" else 1) * (3 if amount >= 150 else 1)


def clean(note: str | None) -> str | None:
    """Trim a note and bring it to lower case."""
    return note.strip().lower() if note else None
