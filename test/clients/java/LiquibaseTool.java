import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import liquibase.Contexts;
import liquibase.Liquibase;
import liquibase.database.DatabaseFactory;
import liquibase.database.jvm.JdbcConnection;
import liquibase.resource.DirectoryResourceAccessor;

/** What `liquibase update` and `liquibase drop-all` call. */
final class LiquibaseTool {
  public static void main(String[] args) throws Exception {
    String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE")
        + "?sslmode=verify-full&sslrootcert=" + System.getenv("PGSSLROOTCERT");
    try (Connection connection = DriverManager.getConnection(url, System.getenv("PGUSER"), System.getenv("PGPASSWORD"));
        Liquibase liquibase = new Liquibase("changelog.sql", new DirectoryResourceAccessor(Path.of("liquibase")),
            DatabaseFactory.getInstance().findCorrectDatabaseImplementation(new JdbcConnection(connection)))) {
      if (args[0].equals("drop-all")) liquibase.dropAll();
      else liquibase.update(new Contexts());
    }
  }
}
