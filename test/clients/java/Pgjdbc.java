import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Timestamp;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/** pgjdbc behind HikariCP. */
final class Pgjdbc {
  static Connection connection;

  public static void main(String[] args) throws Exception {
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl("jdbc:postgresql://" + env("PGHOST") + ":" + env("PGPORT") + "/" + env("PGDATABASE"));
    config.setUsername(env("PGUSER"));
    config.setPassword(env("PGPASSWORD"));
    config.addDataSourceProperty("sslmode", env("PGSSLMODE"));
    config.addDataSourceProperty("sslrootcert", env("PGSSLROOTCERT"));
    config.addDataSourceProperty("ApplicationName", env("PGAPPNAME"));
    config.addDataSourceProperty("prepareThreshold", "3");
    config.setMaximumPoolSize(3);
    try (HikariDataSource pool = new HikariDataSource(config)) {
      connection = pool.getConnection();
      if (args[0].equals("session")) {
        Story.say("version", org.postgresql.Driver.class.getPackage().getImplementationVersion());
        session(pool);
      } else {
        List<Object> told = Story.failure(() -> execute("DELETE FROM items"));
        long afterwards = (Long) ((List<?>) query("SELECT count(*) FROM items").get(0)).get(0);
        System.out.println("{\"feature\":\"refusal\",\"result\":{\"sqlstate\":" + Story.json(told.get(0)) + ",\"message\":" + Story.json(told.get(1)) + ",\"afterwards\":" + afterwards + "}}");
      }
      connection.close();
    }
  }

  static void session(HikariDataSource pool) throws Exception {
    Story.say("connect", query(Story.WHO));
    List<Object> queries = new ArrayList<>(List.of(query("SELECT id, name FROM items ORDER BY id LIMIT 3")));
    queries.add(query("INSERT INTO notes (item, body) VALUES (?, ?), (2, ?) RETURNING *", 1, Story.TEXT, null));
    try (PreparedStatement batch = connection.prepareStatement("INSERT INTO notes (item, body) VALUES (?, ?)", Statement.RETURN_GENERATED_KEYS)) {
      for (int i = 1; i <= 90; i += 1) {
        batch.setInt(1, i);
        batch.setString(2, Story.TEXT);
        batch.addBatch();
      }
      queries.add(Arrays.stream(batch.executeBatch()).sum());
      queries.add(Story.rows(batch.getGeneratedKeys()).size());
    }
    try (Statement several = connection.createStatement()) {
      several.execute("SELECT 1; UPDATE items SET name = 'three' WHERE id = 3; SELECT 2");
      several.getMoreResults();
      queries.add(several.getUpdateCount());
      several.getMoreResults();
      queries.add(Story.rows(several.getResultSet()));
    }
    Story.say("queries", queries);

    List<Object> types = new ArrayList<>();
    // From the fourth execution on in binary.
    for (int i = 0; i < 6; i += 1) types.add(Story.digest(query("SELECT * FROM everything WHERE id > ? ORDER BY id", 0)));
    types.add(query("SELECT * FROM everything WHERE id <> 3 ORDER BY id"));
    types.add(query("SELECT ?::jsonb, ?::bytea, ?::numeric, ?::int[], ?::timestamptz", "{\"a\": [1]}", new byte[] {0, -1}, new BigDecimal("1.50"), connection.createArrayOf("int4", new Object[] {1, null}), new Timestamp(0)));
    Story.say("types", types);
    Story.say("large", List.of(Story.digest(query(Story.ROWS)), query("SELECT length(?), md5(?)", Story.BIG, Story.BIG)));

    List<Object> failures = new ArrayList<>();
    for (String sql : List.of("SELEC", "SELECT * FROM missing", "SELECT 1/0", "INSERT INTO items VALUES (1, 'one')", "INSERT INTO items VALUES (1000, NULL)", "INSERT INTO items VALUES (1001, 'x', -1)", "SELECT 'x'::int")) {
      failures.add(Story.failure(() -> execute(sql)));
    }
    try {
      execute("INSERT INTO items VALUES (1, 'one')");
    } catch (PSQLException error) {
      ServerErrorMessage fields = error.getServerErrorMessage();
      failures.add(Arrays.asList(fields.getConstraint(), fields.getDetail(), fields.getTable(), fields.getSchema(), fields.getRoutine()));
    }
    Story.say("errors", failures);

    connection.setAutoCommit(false);
    execute("INSERT INTO items VALUES (200, 'a')");
    Savepoint savepoint = connection.setSavepoint("s");
    List<Object> steps = new ArrayList<>(List.of(Story.failure(() -> execute("INSERT INTO items VALUES (1, 'b')")), Story.failure(() -> execute("SELECT 1"))));
    connection.rollback(savepoint);
    execute("INSERT INTO items VALUES (201, 'c')");
    connection.commit();
    execute("DELETE FROM items WHERE id = 200");
    connection.rollback();
    steps.add(query("SELECT id FROM items WHERE id >= 200 ORDER BY id"));
    connection.commit();
    Story.say("transactions", steps);

    try (Statement statement = connection.createStatement()) {
      statement.setFetchSize(7);
      long sum = 0;
      try (ResultSet found = statement.executeQuery("SELECT id FROM items ORDER BY id")) {
        while (found.next()) sum += found.getInt(1);
      }
      connection.commit();
      Story.say("cursor", sum);
    }
    connection.setAutoCommit(true);

    List<Object> prepared = new ArrayList<>();
    try (PreparedStatement byId = connection.prepareStatement("SELECT name FROM items WHERE id = ?")) {
      for (int i = 0; i < 10; i += 1) {
        byId.setInt(1, i);
        prepared.add(Story.rows(byId.executeQuery()));
      }
    }
    Story.say("prepared", prepared);

    try (PreparedStatement batch = connection.prepareStatement("UPDATE items SET name = name || ? WHERE id = ?")) {
      for (int i = 0; i < 500; i += 1) {
        batch.setString(1, "x");
        batch.setInt(2, i % 100);
        batch.addBatch();
      }
      int[] counts = batch.executeBatch();
      List<Object> failed = Story.failure(Pgjdbc::brokenBatch);
      Story.say("pipeline", List.of(Arrays.stream(counts).sum(), failed, query("SELECT name FROM items WHERE id = 5")));
    }

    PGConnection pg = connection.unwrap(PGConnection.class);
    StringBuilder lines = new StringBuilder();
    for (int i = 0; i < 2000; i += 1) lines.append(1000 + i).append("\titem ").append(i).append('\n');
    long copied = pg.getCopyAPI().copyIn("COPY items (id, name) FROM STDIN", new StringReader(lines.toString()));
    StringWriter out = new StringWriter();
    pg.getCopyAPI().copyOut("COPY (SELECT * FROM items ORDER BY id) TO STDOUT CSV", out);
    List<Object> duplicate = Story.failure(() -> pg.getCopyAPI().copyIn("COPY items (id, name) FROM STDIN", new StringReader("1\tx\n")));
    Story.say("copy", List.of(copied, Story.digest(out.toString()), duplicate));

    try (Connection other = pool.getConnection()) {
      execute("LISTEN \"news of today\"");
      try (PreparedStatement notify = other.prepareStatement("SELECT pg_notify('news of today', ?)")) {
        notify.setString(1, Story.TEXT);
        notify.execute();
      }
      PGNotification heard = pg.getNotifications(20_000)[0];
      Story.say("listen", List.of(heard.getName(), heard.getParameter()));
      execute("UNLISTEN *");

      try (Statement sleeping = connection.createStatement()) {
        List<Object> outcome = new ArrayList<>();
        Thread sleeper = new Thread(() -> outcome.addAll(Story.failure(() -> sleeping.execute("SELECT pg_sleep(60)"))));
        sleeper.start();
        while (true) {
          try (Statement ask = other.createStatement();
              ResultSet found = ask.executeQuery("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND pid = " + pg.getBackendPID())) {
            found.next();
            if (found.getInt(1) == 1) break;
          }
        }
        sleeping.cancel();
        sleeper.join();
        sleeping.setQueryTimeout(1);
        Story.say("cancel", List.of(outcome, Story.failure(() -> sleeping.execute("SELECT pg_sleep(60)")), query("SELECT 1")));
      }
    }
  }

  static void brokenBatch() throws Exception {
    try (Statement batch = connection.createStatement()) {
      batch.addBatch("UPDATE items SET name = 'lost' WHERE id = 5");
      batch.addBatch("INSERT INTO items VALUES (1, 'x')");
      batch.addBatch("UPDATE items SET name = 'lost' WHERE id = 5");
      batch.executeBatch();
    }
  }

  static void execute(String sql) throws Exception {
    try (Statement statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }

  static List<Object> query(String sql, Object... values) throws Exception {
    try (PreparedStatement statement = connection.prepareStatement(sql)) {
      for (int i = 0; i < values.length; i += 1) {
        if (values[i] == null) statement.setNull(i + 1, Types.VARCHAR);
        else statement.setObject(i + 1, values[i]);
      }
      return Story.rows(statement.executeQuery());
    }
  }

  static String env(String name) {
    return System.getenv(name);
  }
}
