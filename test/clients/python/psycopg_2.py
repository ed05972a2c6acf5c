import io
import select
import threading

import psycopg2
import psycopg2.extras
from story import ASLEEP, BIG, ERRORS, ROWS, TEXT, WHO, digest, failure, rows, say, tell, wait_until

connection = psycopg2.connect("")
connection.autocommit = True


def run(text, values=None):
    cursor = connection.cursor()
    cursor.execute(text, values)
    return cursor


def session():
    say("connect", rows(run(WHO)))
    written = run("INSERT INTO notes (item, body) VALUES (%s, %s), (2, %s) RETURNING *", (1, TEXT, None))
    many = connection.cursor()
    psycopg2.extras.execute_values(many, "INSERT INTO notes (item, body) VALUES %s", [(n, TEXT) for n in range(1, 50)])
    say("queries", [rows(run("SELECT 0; SELECT id, name FROM items ORDER BY id LIMIT 3")), rows(written), written.rowcount, written.statusmessage, many.statusmessage])
    given = run("SELECT %s::jsonb, %s, %s, %s", (psycopg2.extras.Json({"a": [1]}), psycopg2.Binary(b"\0\xff"), 1.5, [1, None]))
    say("types", [rows(run("SELECT * FROM everything ORDER BY id")), rows(given)])
    say("large", [digest(run(ROWS)), rows(run("SELECT md5(%s)", (BIG,)))])
    say("errors", [failure(run, text) for text in ERRORS])

    connection.autocommit = False
    run("INSERT INTO items VALUES (200, 'a')")
    run("SAVEPOINT s")
    steps = [failure(run, "INSERT INTO items VALUES (1, 'b')"), failure(run, "SELECT 1"), connection.info.transaction_status]
    run("ROLLBACK TO s")
    connection.commit()
    run("DELETE FROM items WHERE id = 200")
    connection.rollback()
    connection.autocommit = True
    say("transactions", [steps, rows(run("SELECT id FROM items WHERE id >= 200 ORDER BY id"))])
    run("PREPARE by_id (int) AS SELECT name FROM items WHERE id = $1")
    # The one that says EXECUTE: what it runs was judged when it was prepared.
    say("prepared", [rows(run("EXECUTE by_id (%s)", (n,))) for n in range(10)])

    connection.cursor().copy_expert("COPY items (id, name) FROM STDIN", io.StringIO("".join(f"{1000 + n}\titem {n}\n" for n in range(2000))))
    out = io.StringIO()
    connection.cursor().copy_expert("COPY (SELECT * FROM items ORDER BY id) TO STDOUT CSV HEADER", out)
    duplicate = failure(connection.cursor().copy_expert, "COPY items (id, name) FROM STDIN", io.StringIO("1\tx\n"))
    say("copy", [digest([[out.getvalue()]]), duplicate])

    run('LISTEN "news of today"')
    other = psycopg2.connect("")
    other.autocommit = True
    other.cursor().execute("SELECT pg_notify('news of today', %s)", (TEXT,))
    while not connection.notifies:
        select.select([connection], [], [], 20)
        connection.poll()
    say("listen", [(heard.channel, heard.payload) for heard in connection.notifies])

    connection.autocommit = False
    with connection.cursor("c", scrollable=True) as cursor:
        cursor.itersize = 7
        cursor.execute("SELECT id FROM items ORDER BY id")
        some = [rows(cursor.fetchmany(3)), cursor.scroll(-2), rows(cursor.fetchmany(2)), sum(row[0] for row in cursor)]
    connection.commit()
    connection.autocommit = True
    say("cursor", some)

    outcomes = []
    sleeper = threading.Thread(target=lambda: outcomes.append(failure(run, "SELECT pg_sleep(60)")))
    sleeper.start()

    def asleep():
        cursor = other.cursor()
        cursor.execute(ASLEEP.format(connection.info.backend_pid))
        return cursor.fetchone()[0] == 1

    wait_until(asleep)
    connection.cancel()
    sleeper.join()
    say("cancel", [outcomes, rows(run("SELECT 1"))])


tell("psycopg2-binary", session, lambda: run("DELETE FROM items"), lambda: run("SELECT count(*) FROM items").fetchone()[0])
