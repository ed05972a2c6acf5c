# ruby-pg, on the system's libpq.
require "digest"
require "json"
require "pg"

TEXT = "a 'quoted' \\ name 日本 😀"
BIG = "x" * 5_000_000
WHO = "SELECT current_user, current_database(), current_setting('application_name'), current_setting('client_encoding'), (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())"

def say(feature, result)
  puts JSON.generate({ feature: feature, result: result })
end

def failure
  yield
  [nil, nil]
rescue PG::Error => error
  field = ->(name) { error.result&.error_field(name) }
  [field.(PG::PG_DIAG_SQLSTATE), error.message, field.(PG::PG_DIAG_CONSTRAINT_NAME), field.(PG::PG_DIAG_MESSAGE_DETAIL)]
end

connection = PG.connect
run = ->(sql, *values) { values.empty? ? connection.exec(sql).values : connection.exec_params(sql, values).values }

if ARGV[0] == "refusal"
  sqlstate, message = failure { run.("DELETE FROM items") }
  say("refusal", { sqlstate: sqlstate, message: message, afterwards: run.("SELECT count(*) FROM items")[0][0].to_i })
  exit
end

say("version", PG::VERSION)
say("connect", run.(WHO))
say("queries", [run.("INSERT INTO notes (item, body) VALUES ($1, $2), (2, $3) RETURNING *", 1, TEXT, nil), connection.exec("UPDATE items SET name = 'x' WHERE id < 4").cmd_status, run.("SELECT 0; SELECT id, name FROM items ORDER BY id LIMIT 3")])
binary = connection.exec_params("SELECT a_bytea, a_bigint, a_double FROM everything ORDER BY id", [], 1)
say("types", [run.("SELECT * FROM everything ORDER BY id"), binary.values.map { |row| row.map { |value| value&.unpack1("H*") } }])
say("large", [Digest::SHA256.hexdigest(JSON.generate(run.("SELECT g, repeat(md5(g::text), 300) FROM generate_series(1, 1000) g"))), run.("SELECT length($1)", BIG)])
say("errors", ["SELEC", "SELECT * FROM missing", "SELECT 1/0", "INSERT INTO items VALUES (1, 'one')", "INSERT INTO items VALUES (1000, NULL)"].flat_map { |sql| [failure { connection.exec(sql) }, failure { connection.exec_params(sql, []) }] })

steps = []
connection.transaction do
  run.("INSERT INTO items VALUES (200, 'a')")
  run.("SAVEPOINT s")
  steps << failure { run.("INSERT INTO items VALUES (1, 'b')") } << failure { run.("SELECT 1") } << connection.transaction_status
  run.("ROLLBACK TO s")
end
steps << failure { connection.transaction { run.("DELETE FROM items WHERE id = 200"); raise PG::Error, "no" } }
say("transactions", [steps, run.("SELECT id FROM items WHERE id >= 200")])

connection.prepare("by_id", "SELECT name FROM items WHERE id = $1")
say("prepared", (0..9).map { |id| connection.exec_prepared("by_id", [id]).values })

connection.enter_pipeline_mode
30.times { |i| connection.send_query_params("SELECT 10 / $1::int", [i % 10]); connection.pipeline_sync if i % 5 == 4 }
outcomes = []
synced = 0
while synced < 6
  result = connection.get_result
  next if result.nil?
  case result.result_status
  when PG::PGRES_PIPELINE_SYNC then synced += 1
  when PG::PGRES_TUPLES_OK then outcomes << result.values
  else outcomes << (result.error_field(PG::PG_DIAG_SQLSTATE) || result.res_status(result.result_status))
  end
end
connection.exit_pipeline_mode
say("pipeline", [outcomes, run.("SELECT 1")])

connection.copy_data("COPY items (id, name) FROM STDIN") { 2000.times { |i| connection.put_copy_data("#{1000 + i}\titem #{i}\n") } }
out = +""
connection.copy_data("COPY (SELECT * FROM items ORDER BY id) TO STDOUT") { while (line = connection.get_copy_data) do out << line end }
duplicate = failure { connection.copy_data("COPY items (id, name) FROM STDIN") { connection.put_copy_data("1\tx\n") } }
say("copy", [Digest::SHA256.hexdigest(out), duplicate])

other = PG.connect
run.('LISTEN "news of today"')
other.exec_params("SELECT pg_notify('news of today', $1)", [TEXT])
connection.wait_for_notify(20) { |channel, _, payload| say("listen", [channel, payload]) }

parts = []
connection.transaction { run.("DECLARE c CURSOR FOR SELECT id FROM items ORDER BY id"); 2.times { parts << run.("FETCH 3 FROM c") } }
connection.send_query("SELECT id FROM items ORDER BY id")
connection.set_single_row_mode
sum = 0
connection.get_result.stream_each_row { |row| sum += row[0].to_i }
connection.get_last_result
say("cursor", [parts, sum])

connection.send_query("SELECT pg_sleep(60)")
nil until other.exec("SELECT count(*) FROM pg_stat_activity WHERE pid = #{connection.backend_pid} AND wait_event = 'PgSleep'").getvalue(0, 0) == "1"
connection.cancel
say("cancel", [failure { connection.get_last_result }, run.("SELECT 1")])
