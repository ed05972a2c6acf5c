import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLXML;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

/** JSON lines and the texts that all clients send. */
final class Story {
  static final String TEXT = "a 'quoted' \\ name 日本 😀";
  static final String BIG = "x".repeat(5_000_000);
  static final String ROWS = "SELECT g, repeat(md5(g::text), 300) AS t FROM generate_series(1, 1000) g";
  static final String WHO =
      "SELECT current_user::text, current_database()::text, current_setting('application_name'), "
          + "current_setting('client_encoding'), (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())";

  interface Doing {
    void run() throws Exception;
  }

  static void say(String feature, Object result) {
    System.out.println("{\"feature\":" + json(feature) + ",\"result\":" + json(result) + "}");
  }

  static String json(Object value) {
    if (value == null) return "null";
    if (value instanceof Number || value instanceof Boolean) return value.toString();
    if (value instanceof List<?> list) return "[" + String.join(",", list.stream().map(Story::json).toList()) + "]";
    if (value instanceof byte[] bytes) return json(HexFormat.of().formatHex(bytes));
    StringBuilder text = new StringBuilder("\"");
    for (char c : value.toString().toCharArray()) {
      if (c == '"' || c == '\\') text.append('\\').append(c);
      else if (c < ' ') text.append(String.format("\\u%04x", (int) c));
      else text.append(c);
    }
    return text.append('"').toString();
  }

  static List<Object> rows(ResultSet found) throws SQLException {
    List<Object> rows = new ArrayList<>();
    int columns = found.getMetaData().getColumnCount();
    while (found.next()) {
      List<Object> row = new ArrayList<>();
      for (int i = 1; i <= columns; i += 1) {
        Object value = found.getObject(i);
        row.add(value instanceof SQLXML xml ? xml.getString() : value);
      }
      rows.add(row);
    }
    return rows;
  }

  static String digest(Object value) throws Exception {
    byte[] bytes = json(value).getBytes(StandardCharsets.UTF_8);
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
  }

  static List<Object> failure(Doing doing) {
    try {
      doing.run();
    } catch (SQLException error) {
      List<Object> told = new ArrayList<>();
      told.add(error.getSQLState());
      told.add(error.getMessage());
      return told;
    } catch (Exception error) {
      return List.of("XXXXX", error.toString());
    }
    List<Object> nothing = new ArrayList<>();
    nothing.add(null);
    nothing.add(null);
    return nothing;
  }


  private Story() {}
}
