import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from story import ASLEEP, BIG, ERRORS, ROWS, TEXT, WHO, digest, failure, rows, say, tell, wait_until
import threading

connection = psycopg.connect("", autocommit=True)
run = connection.execute


def session():
    say("connect", rows(run(WHO)))
    found = run("SELECT id, name FROM items ORDER BY id LIMIT 3; SELECT 1")
    first = rows(found)
    found.nextset()
    written = run("INSERT INTO notes (item, body) VALUES (%s, %s), (2, %s) RETURNING *", (1, TEXT, None))
    say("queries", [first, rows(found), rows(written), written.rowcount, written.statusmessage])
    types = rows(run("SELECT * FROM everything WHERE id <> 2 ORDER BY id"))
    with connection.cursor(binary=True, row_factory=dict_row) as cursor:
        # It has no binary form of its own for some; they come as they do by default.
        binary = cursor.execute("SELECT id, a_bool, a_bigint, a_double, a_numeric, a_text, a_bytea, a_uuid, a_jsonb, an_int_array, a_range FROM everything ORDER BY id").fetchall()
    given = run("SELECT %s::jsonb, %b::bytea, %t::numeric, %s::int[]", (Jsonb({"a": [1]}), b"\0\xff", 1.5, [1, None]))
    say("types", [types, binary, rows(given)])
    say("large", [digest(run(ROWS)), rows(run("SELECT length(%s), md5(%b)", (BIG, BIG)))])
    say("errors", [failure(run, text) for text in ERRORS] + [failure(run, "SELECT %s::int", ("x",))])

    with connection.transaction():
        run("INSERT INTO items VALUES (200, 'a')")
        inner = failure(savepoint)
        run("INSERT INTO items VALUES (201, 'c')")
    with connection.transaction(force_rollback=True):
        run("DELETE FROM items WHERE id = 200")
    say("transactions", [inner, rows(run("SELECT id FROM items WHERE id >= 200 ORDER BY id"))])
    say("prepared", [rows(run("SELECT name FROM items WHERE id = %s", (n,), prepare=True)) for n in range(10)])

    with connection.pipeline() as pipeline:
        cursors = [run("SELECT %s::int", (n,)) for n in range(50)]
        pipeline.sync()
        fetched = [rows(cursor) for cursor in cursors]
    say("pipeline", [fetched, failure(broken_pipeline), rows(run("SELECT 1"))])

    with connection.cursor().copy("COPY items (id, name, price) FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["int4", "text", "numeric"])
        for n in range(2000):
            copy.write_row((1000 + n, f"item {n}", None))
    with connection.cursor().copy("COPY (SELECT * FROM items ORDER BY id) TO STDOUT") as copy:
        out = digest([list(copy.rows())])
    say("copy", [out, failure(copy_of_a_duplicate), failure(copy_given_up)])

    run('LISTEN "news of today"')
    with psycopg.connect("", autocommit=True) as other:
        other.execute("SELECT pg_notify('news of today', %s)", (TEXT,))
        heard = next(connection.notifies(timeout=20))
        say("listen", [heard.channel, heard.payload])

        with connection.transaction(), connection.cursor("c") as cursor:
            cursor.execute("SELECT id FROM items ORDER BY id")
            cursor.scroll(5)
            some = [rows(cursor.fetchmany(3)), rows(cursor.fetchmany(2))]
        streamed = sum(row[0] for row in connection.cursor().stream("SELECT id FROM items"))
        say("cursor", [some, streamed])

        outcomes = []
        for cancel in (connection.cancel, lambda: connection.cancel_safe(timeout=20)):
            sleeper = threading.Thread(target=lambda: outcomes.append(failure(run, "SELECT pg_sleep(60)")))
            sleeper.start()
            wait_until(lambda: other.execute(ASLEEP.format(connection.info.backend_pid)).fetchone()[0] == 1)
            cancel()
            sleeper.join()
        say("cancel", [outcomes, rows(run("SELECT 1"))])


def broken_pipeline():
    with connection.pipeline():
        run("SELECT 1")
        run("SELECT 1/0").fetchall()


def savepoint():
    with connection.transaction("s"):
        run("INSERT INTO items VALUES (1, 'b')")


def copy_of_a_duplicate():
    with connection.cursor().copy("COPY items (id, name) FROM STDIN") as copy:
        copy.write_row((1, "x"))


def copy_given_up():
    with connection.cursor().copy("COPY items (id, name) FROM STDIN") as copy:
        copy.write_row((9000, "x"))
        raise ValueError("no more")


tell("psycopg", session, lambda: run("DELETE FROM items"), lambda: run("SELECT count(*) FROM items").fetchone()[0])
