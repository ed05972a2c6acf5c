import org.flywaydb.core.Flyway;

/** What `flyway migrate` and `flyway clean` call. */
final class FlywayTool {
  public static void main(String[] args) {
    String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE")
        + "?sslmode=verify-full&sslrootcert=" + System.getenv("PGSSLROOTCERT");
    Flyway flyway = Flyway.configure()
        .dataSource(url, System.getenv("PGUSER"), System.getenv("PGPASSWORD"))
        .locations("filesystem:flyway")
        .defaultSchema("flyway_shop")
        .cleanDisabled(false)
        .load();
    if (args[0].equals("clean")) flyway.clean();
    else flyway.migrate();
  }
}
