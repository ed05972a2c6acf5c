import asyncio
import datetime
import io
import os

import asyncpg
from story import ASLEEP, BIG, ERRORS, ROWS, TEXT, WHO, digest, rows, say, tell, told


async def failing(doing):
    try:
        await doing
    except Exception as error:
        return told(error)
    return "did not fail"


async def session():
    settings = {"application_name": os.environ["PGAPPNAME"]}
    connection = await asyncpg.connect(server_settings=settings)
    other = await asyncpg.connect(server_settings=settings)
    fetch, execute = connection.fetch, connection.execute
    say("connect", rows(await fetch(WHO)))
    written = await fetch("INSERT INTO notes (item, body) VALUES ($1, $2), (2, $3) RETURNING *", 1, TEXT, None)
    await connection.executemany("INSERT INTO notes (item, body) VALUES ($1, $2)", [(n, TEXT) for n in range(1, 90)])
    say("queries", [await execute("SELECT 0; SELECT id, name FROM items"), rows(written), await execute("UPDATE items SET name = $1 WHERE id < 5", TEXT)])
    given = await fetch("SELECT $1::jsonb, $2::bytea, $3::numeric, $4::int[], $5::timestamptz", '{"a": [1]}', b"\0\xff", 1, [1, None], datetime.datetime.fromtimestamp(0, datetime.timezone.utc))
    # All of it in binary. It has no codec for a 1 BC, which its own range of dates excludes.
    say("types", [rows(await fetch("SELECT * FROM everything ORDER BY id")), rows(given)])
    say("large", [digest(await fetch(ROWS)), rows(await fetch("SELECT length($1), md5($1)", BIG))])
    say("errors", [await failing(execute(text)) for text in ERRORS] + [await failing(fetch(text)) for text in ERRORS])

    async with connection.transaction():
        await execute("INSERT INTO items VALUES (200, 'a')")

        async def nested():
            async with connection.transaction():
                await execute("INSERT INTO items VALUES (1, 'b')")

        inner = await failing(nested())
        await execute("INSERT INTO items VALUES (201, 'c')")
    transaction = connection.transaction(isolation="serializable")
    await transaction.start()
    await execute("DELETE FROM items WHERE id = 200")
    await transaction.rollback()
    say("transactions", [inner, rows(await fetch("SELECT id FROM items WHERE id >= 200 ORDER BY id"))])

    by_id = await connection.prepare("SELECT name FROM items WHERE id = $1")
    say("prepared", [rows(await by_id.fetch(n)) for n in range(10)] + [[str(a.type) for a in by_id.get_attributes()]])

    await connection.copy_records_to_table("items", records=[(1000 + n, f"item {n}") for n in range(2000)], columns=["id", "name"])
    out = io.BytesIO()
    await connection.copy_from_query("SELECT * FROM items WHERE id > $1 ORDER BY id", 10, output=out, format="csv")
    duplicate = await failing(connection.copy_to_table("items", source=io.BytesIO(b"1\tx\n"), columns=["id", "name"]))
    say("copy", [digest([[out.getvalue()]]), duplicate])

    heard = asyncio.get_running_loop().create_future()
    await connection.add_listener("news of today", lambda _, __, channel, payload: heard.set_result([channel, payload]))
    await other.execute("SELECT pg_notify('news of today', $1)", TEXT)
    say("listen", await heard)
    await connection.reset()

    async with connection.transaction():
        cursor = await connection.cursor("SELECT id FROM items ORDER BY id")
        some = [rows(await cursor.fetch(3)), await cursor.forward(2), rows(await cursor.fetch(2))]
        some.append(sum([row[0] async for row in connection.cursor("SELECT id FROM items", prefetch=7)]))
    say("cursor", some)

    sleeping = asyncio.create_task(failing(fetch("SELECT pg_sleep(60)")))
    while await other.fetchval(ASLEEP.format(connection.get_server_pid())) != 1:
        pass
    sleeping.cancel()
    await asyncio.wait([sleeping])
    timed_out = await failing(fetch("SELECT pg_sleep(60)", timeout=0.3))
    say("cancel", [sleeping.cancelled(), timed_out["type"], rows(await fetch("SELECT 1"))])
    await connection.close()
    await other.close()


refused = {}


async def refuse():
    connection = await asyncpg.connect()
    try:
        await connection.execute("DELETE FROM items")
    finally:
        refused["count"] = await connection.fetchval("SELECT count(*) FROM items")
        await connection.close()


tell("asyncpg", lambda: asyncio.run(session()), lambda: asyncio.run(refuse()), lambda: refused["count"])
