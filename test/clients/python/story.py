"""What the sessions of all Python clients share: the texts they send, and how they print what comes back."""

import datetime
import decimal
import hashlib
import importlib.metadata
import ipaddress
import json
import os
import sys
import time
import uuid

TEXT = "a 'quoted' \\ name 日本 😀"
BIG = "x" * 5_000_000
ROWS = "SELECT g, repeat(md5(g::text), 300) AS t FROM generate_series(1, 1000) g"
WHO = (
    "SELECT current_user::text, current_database()::text, current_setting('application_name'), "
    "current_setting('client_encoding'), (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())"
)
ERRORS = (
    "SELEC",
    "SELECT * FROM missing",
    "SELECT 1/0",
    "INSERT INTO items VALUES (1, 'one')",
    "INSERT INTO items VALUES (1000, NULL)",
    "INSERT INTO items VALUES (1001, 'x', -1)",
    "SELECT 'x'::int",
)
ASLEEP = "SELECT count(*) FROM pg_stat_activity WHERE pid = {} AND wait_event = 'PgSleep'"


def say(feature, result):
    print(json.dumps({"feature": feature, "result": result}, default=plain, ensure_ascii=False), flush=True)


def plain(value):
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    if isinstance(value, (set, frozenset)):
        return sorted(map(repr, value))
    if isinstance(value, (decimal.Decimal, uuid.UUID, datetime.timedelta, ipaddress._IPAddressBase)):
        return str(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return repr(value)


def rows(found):
    return [list(row) for row in found]


def digest(found):
    return hashlib.sha256(json.dumps(rows(found), default=plain).encode()).hexdigest()


def failure(doing, *args):
    """What the driver says of an error, from wherever it keeps the server's fields."""
    try:
        doing(*args)
    except Exception as error:
        return told(error)
    return "did not fail"


def told(error):
    error = getattr(error, "orig", None) or error
    cause = error.__cause__ if error.__cause__ is not None and hasattr(error.__cause__, "sqlstate") else error
    diagnosis = getattr(cause, "diag", cause)
    fields = ("sqlstate", "message_primary", "message_detail", "message_hint", "constraint_name", "statement_position")
    known = {name: getattr(diagnosis, name, None) for name in fields}
    known["sqlstate"] = known["sqlstate"] or getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    known["type"] = type(cause).__name__
    known["message"] = str(cause)
    return known


def wait_until(true):
    while not true():
        time.sleep(0.01)


def tell(package, session, fails, count):
    """Runs the part that was asked for."""
    if sys.argv[1] == "session":
        say("version", importlib.metadata.version(package))
        session()
        return
    outcome = failure(fails)
    refused = outcome != "did not fail"
    say(
        "refusal",
        {
            "sqlstate": outcome["sqlstate"] if refused else None,
            "message": outcome["message"] if refused else None,
            "afterwards": count(),
        },
    )


URL = os.environ["DATABASE_URL"]
