"""Code that the scripts of several services share."""


def greetings(who, count):
    """Return count greetings, at least one."""
    return [f"Hello {who}, number {n}" for n in range(1, max(count, 1) + 1)]
