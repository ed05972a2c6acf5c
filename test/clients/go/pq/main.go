// lib/pq, through database/sql.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"clients/story"

	"github.com/lib/pq"
)

var ctx = context.Background()

type querier interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

func all(on querier, text string, args ...any) []any {
	rows, err := on.QueryContext(ctx, text, args...)
	story.Must(err)
	return collect(rows)
}

func collect(rows *sql.Rows) []any {
	defer rows.Close()
	columns, err := rows.Columns()
	story.Must(err)
	found := []any{}
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		story.Must(rows.Scan(into...))
		for i, value := range values {
			if number, is := value.(float64); is {
				values[i] = fmt.Sprint(number)
			}
			if text, is := value.([]byte); is {
				values[i] = string(text)
			}
		}
		found = append(found, values)
	}
	story.Must(rows.Err())
	return found
}

func told(err error) any {
	var answer *pq.Error
	if errors.As(err, &answer) {
		return []any{answer.Code, answer.Message, answer.Detail, answer.Hint, answer.Constraint, answer.Table, answer.Position}
	}
	return fmt.Sprint(err)
}

func main() {
	db, err := sql.Open("postgres", "")
	story.Must(err)
	db.SetMaxOpenConns(3)
	conn, err := db.Conn(ctx)
	story.Must(err)
	if os.Args[1] == "session" {
		story.Say("version", story.Version("github.com/lib/pq"))
		session(db, conn)
		return
	}
	_, err = conn.ExecContext(ctx, "DELETE FROM items")
	var answer pq.Error
	if refusal := (*pq.Error)(nil); errors.As(err, &refusal) {
		answer = *refusal
	}
	var afterwards int
	story.Must(conn.QueryRowContext(ctx, "SELECT count(*) FROM items").Scan(&afterwards))
	story.Refused(string(answer.Code), answer.Message, afterwards)
}

func session(db *sql.DB, conn *sql.Conn) {
	story.Say("connect", all(conn, story.Who))
	changed, err := conn.ExecContext(ctx, "UPDATE items SET name = $1 WHERE id < $2", story.Text, 4)
	story.Must(err)
	count, err := changed.RowsAffected()
	story.Must(err)
	several, err := conn.QueryContext(ctx, "SELECT 1; SELECT name FROM items WHERE id = 1")
	story.Must(err)
	sets := []any{}
	for {
		var value any
		several.Next()
		story.Must(several.Scan(&value))
		sets = append(sets, fmt.Sprint(value))
		for several.Next() {
		}
		if !several.NextResultSet() {
			break
		}
	}
	several.Close()
	story.Say("queries", []any{all(conn, "INSERT INTO notes (item, body) VALUES ($1, $2), (2, $3) RETURNING *", 1, story.Text, nil), count, sets})
	story.Say("types", []any{all(conn, "SELECT * FROM everything ORDER BY id"), all(conn, "SELECT * FROM everything WHERE id > $1 ORDER BY id", 0), all(conn, "SELECT $1::bytea, $2::int[], $3::timestamptz", []byte{0, 255}, pq.Array([]int{1, 2}), time.Unix(0, 0).UTC())})
	story.Say("large", []any{story.Digest(all(conn, story.Rows)), all(conn, "SELECT length($1), md5($1)", story.Big)})
	failures := []any{}
	for _, text := range story.Errors {
		_, simple := conn.ExecContext(ctx, text)
		_, extended := conn.PrepareContext(ctx, text)
		failures = append(failures, told(simple), told(extended))
	}
	story.Say("errors", failures)

	steps := []any{}
	tx, err := conn.BeginTx(ctx, nil)
	story.Must(err)
	for _, text := range []string{"INSERT INTO items VALUES (200, 'a')", "SAVEPOINT s", "INSERT INTO items VALUES (1, 'b')", "SELECT 1", "ROLLBACK TO s", "INSERT INTO items VALUES (201, 'c')"} {
		_, err = tx.ExecContext(ctx, text)
		steps = append(steps, told(err))
	}
	story.Must(tx.Commit())
	tx, err = conn.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
	story.Must(err)
	_, err = tx.Exec("DELETE FROM items WHERE id = 200")
	story.Must(err)
	story.Must(tx.Rollback())
	story.Say("transactions", append(steps, all(conn, "SELECT id FROM items WHERE id >= 200 ORDER BY id")))

	byId, err := conn.PrepareContext(ctx, "SELECT name FROM items WHERE id = $1")
	story.Must(err)
	prepared := []any{}
	for i := range 10 {
		rows, err := byId.Query(i)
		story.Must(err)
		prepared = append(prepared, collect(rows))
	}
	byId.Close()
	story.Say("prepared", prepared)

	copyIn := func(first, rows int) error {
		tx, err := conn.BeginTx(ctx, nil)
		story.Must(err)
		defer tx.Rollback()
		into, err := tx.Prepare(pq.CopyIn("items", "id", "name"))
		story.Must(err)
		for i := range rows {
			if _, err := into.Exec(first+i, fmt.Sprint("item ", i)); err != nil {
				return err
			}
		}
		if _, err := into.Exec(); err != nil {
			return err
		}
		into.Close()
		return tx.Commit()
	}
	story.Say("copy", []any{told(copyIn(1000, 2000)), told(copyIn(1, 1)), all(conn, "SELECT count(*) FROM items")})

	listener := pq.NewListener("", time.Second, time.Minute, nil)
	story.Must(listener.Listen("news of today"))
	_, err = conn.ExecContext(ctx, "SELECT pg_notify('news of today', $1)", story.Text)
	story.Must(err)
	heard := <-listener.Notify
	story.Say("listen", []any{heard.Channel, heard.Extra})
	listener.Close()

	tx, err = conn.BeginTx(ctx, nil)
	story.Must(err)
	_, err = tx.Exec("DECLARE c CURSOR FOR SELECT id FROM items ORDER BY id")
	story.Must(err)
	parts := []any{all(tx, "FETCH 3 FROM c"), all(tx, "FETCH 2 FROM c")}
	story.Must(tx.Commit())
	story.Say("cursor", parts)

	var pid int
	story.Must(conn.QueryRowContext(ctx, "SELECT pg_backend_pid()").Scan(&pid))
	cancellable, cancel := context.WithCancel(ctx)
	outcome := make(chan any)
	go func() {
		_, err := conn.ExecContext(cancellable, "SELECT pg_sleep(60)")
		outcome <- told(err)
	}()
	for asleep := 0; asleep != 1; {
		story.Must(db.QueryRow(story.Asleep, pid).Scan(&asleep))
	}
	cancel()
	// It gives up the connection itself, whoever the server is.
	story.Say("cancel", []any{<-outcome, all(db, "SELECT 1")})
}
