// pgx, in its own interface.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"clients/story"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var ctx = context.Background()

func connect() *pgx.Conn {
	conn, err := pgx.Connect(ctx, "")
	story.Must(err)
	return conn
}

func all(conn *pgx.Conn, sql string, args ...any) []any {
	rows, err := conn.Query(ctx, sql, args...)
	story.Must(err)
	return collect(rows)
}

func collect(rows pgx.Rows) []any {
	found := []any{}
	for rows.Next() {
		values, err := rows.Values()
		story.Must(err)
		for i, value := range values {
			// What JSON has no form for is printed as Go does.
			switch value.(type) {
			case nil, bool, string, []byte, int16, int32, int64:
			default:
				values[i] = fmt.Sprintf("%v", value)
			}
		}
		found = append(found, values)
	}
	story.Must(rows.Err())
	return found
}

func told(err error) any {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return []any{answer.Code, answer.Message, answer.Detail, answer.Hint, answer.ConstraintName, answer.TableName, answer.Position}
	}
	return fmt.Sprint(err)
}

func main() {
	conn := connect()
	defer conn.Close(ctx)
	if os.Args[1] == "session" {
		story.Say("version", story.Version("github.com/jackc/pgx/v5"))
		session(conn)
		return
	}
	_, err := conn.Exec(ctx, "DELETE FROM items")
	var answer pgconn.PgError
	if refusal := (*pgconn.PgError)(nil); errors.As(err, &refusal) {
		answer = *refusal
	}
	var afterwards int
	story.Must(conn.QueryRow(ctx, "SELECT count(*) FROM items").Scan(&afterwards))
	story.Refused(answer.Code, answer.Message, afterwards)
}

func session(conn *pgx.Conn) {
	story.Say("connect", all(conn, story.Who))
	changed, err := conn.Exec(ctx, "UPDATE items SET name = $1 WHERE id < $2", story.Text, 4)
	story.Must(err)
	several, err := conn.PgConn().Exec(ctx, "SELECT 1; SELECT name FROM items WHERE id = 1").ReadAll()
	story.Must(err)
	story.Say("queries", []any{all(conn, "INSERT INTO notes (item, body) VALUES ($1, $2), (2, $3) RETURNING *", 1, story.Text, nil), changed.String(), len(several), string(several[1].Rows[0][0]), all(conn, "SELECT id, name FROM items ORDER BY id LIMIT 3", pgx.QueryExecModeSimpleProtocol)})

	types := []any{}
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		types = append(types, story.Digest(all(conn, "SELECT * FROM everything ORDER BY id", mode)))
	}
	types = append(types, all(conn, "SELECT * FROM everything WHERE id <> 3 ORDER BY id"), all(conn, "SELECT $1::jsonb, $2::bytea, $3::numeric, $4::int[]", map[string]int{"a": 1}, []byte{0, 255}, "1.50", []int{1, 2}))
	story.Say("types", types)
	story.Say("large", []any{story.Digest(all(conn, story.Rows)), all(conn, "SELECT length($1), md5($1)", story.Big)})

	failures := []any{}
	for _, sql := range story.Errors {
		_, simple := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
		_, extended := conn.Exec(ctx, sql)
		failures = append(failures, told(simple), told(extended))
	}
	story.Say("errors", failures)

	steps := []any{}
	tx, err := conn.Begin(ctx)
	story.Must(err)
	_, err = tx.Exec(ctx, "INSERT INTO items VALUES (200, 'a')")
	story.Must(err)
	nested, err := tx.Begin(ctx)
	story.Must(err)
	_, err = nested.Exec(ctx, "INSERT INTO items VALUES (1, 'b')")
	steps = append(steps, told(err), string(conn.PgConn().TxStatus()))
	_, err = nested.Exec(ctx, "SELECT 1")
	steps = append(steps, told(err))
	story.Must(nested.Rollback(ctx))
	story.Must(tx.Commit(ctx))
	tx, err = conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.Serializable})
	story.Must(err)
	_, err = tx.Exec(ctx, "DELETE FROM items WHERE id = 200")
	story.Must(err)
	story.Must(tx.Rollback(ctx))
	story.Say("transactions", append(steps, all(conn, "SELECT id FROM items WHERE id >= 200 ORDER BY id")))

	prepared := []any{}
	_, err = conn.Prepare(ctx, "by_id", "SELECT name FROM items WHERE id = $1")
	story.Must(err)
	for i := range 10 {
		prepared = append(prepared, all(conn, "by_id", i))
	}
	story.Must(conn.Deallocate(ctx, "by_id"))
	story.Say("prepared", prepared)

	batch := &pgx.Batch{}
	for i := range 50 {
		batch.Queue("SELECT $1::int", i)
	}
	batch.Queue("SELECT 1/0")
	batch.Queue("SELECT 2")
	results := conn.SendBatch(ctx, batch)
	fetched := []any{}
	for range 52 {
		rows, err := results.Query()
		if err != nil {
			fetched = append(fetched, told(err))
			continue
		}
		found := []int32{}
		for rows.Next() {
			var n int32
			story.Must(rows.Scan(&n))
			found = append(found, n)
		}
		fetched = append(fetched, found, told(rows.Err()))
	}
	results.Close()
	story.Say("pipeline", []any{fetched, all(conn, "SELECT 1")})

	source := make([][]any, 2000)
	for i := range source {
		source[i] = []any{1000 + i, fmt.Sprint("item ", i), nil}
	}
	copied, err := conn.CopyFrom(ctx, pgx.Identifier{"items"}, []string{"id", "name", "price"}, pgx.CopyFromRows(source))
	story.Must(err)
	var out bytes.Buffer
	tag, err := conn.PgConn().CopyTo(ctx, &out, "COPY (SELECT * FROM items ORDER BY id) TO STDOUT")
	story.Must(err)
	_, err = conn.PgConn().CopyFrom(ctx, bytes.NewBufferString("1\tx\n"), "COPY items (id, name) FROM STDIN")
	story.Say("copy", []any{copied, story.Digest(out.String()), tag.String(), told(err)})

	other := connect()
	defer other.Close(ctx)
	_, err = conn.Exec(ctx, `LISTEN "news of today"`)
	story.Must(err)
	_, err = other.Exec(ctx, "SELECT pg_notify('news of today', $1)", story.Text)
	story.Must(err)
	heard, err := conn.WaitForNotification(ctx)
	story.Must(err)
	story.Say("listen", []any{heard.Channel, heard.Payload})

	tx, err = conn.Begin(ctx)
	story.Must(err)
	_, err = tx.Exec(ctx, "DECLARE c CURSOR FOR SELECT id FROM items ORDER BY id")
	story.Must(err)
	parts := []any{all(conn, "FETCH 3 FROM c"), all(conn, "FETCH 2 FROM c")}
	story.Must(tx.Commit(ctx))
	story.Say("cursor", parts)

	outcome := make(chan any)
	go func() {
		_, err := conn.Exec(ctx, "SELECT pg_sleep(60)")
		outcome <- told(err)
	}()
	for asleep := 0; asleep != 1; {
		story.Must(other.QueryRow(ctx, story.Asleep, conn.PgConn().PID()).Scan(&asleep))
	}
	story.Must(conn.PgConn().CancelRequest(ctx))
	story.Say("cancel", []any{<-outcome, all(conn, "SELECT 1")})
}
