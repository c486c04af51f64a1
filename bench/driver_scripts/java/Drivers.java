// pgjdbc: `DATABASE_URL=… java -cp /usr/share/java/postgresql.jar Drivers.java [SCRIPT …]`. The scripts and the marks between their steps are
// those of stage.py: a line for each step, and a line on standard input to go on.

import java.io.IOException;
import java.net.URI;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.ThreadLocalRandom;

public class Drivers {
  static final String TABLE = "driver_things";
  static final String READ = "select word from " + TABLE + " where id = ?";
  static final String WRITE = "update " + TABLE + " set seen = ? where id = ?";
  static final String SEEN = "select min(seen) from " + TABLE + " where id between ? and ?";
  static final int FIRST = 11;
  static final int LAST = 20;

  static Connection connection;

  static void connect() throws SQLException {
    URI url = URI.create(System.getenv("DATABASE_URL"));
    String[] user = url.getRawUserInfo().split(":", 2);
    Properties words = new Properties();
    words.put("user", decoded(user[0]));
    words.put("password", decoded(user[1]));
    String query = url.getQuery() == null ? "" : "?" + url.getQuery();
    connection =
        DriverManager.getConnection(
            "jdbc:postgresql://" + url.getHost() + ":" + url.getPort() + url.getPath() + query, words);
  }

  static String decoded(String text) {
    return java.net.URLDecoder.decode(text.replace("+", "%2B"), java.nio.charset.StandardCharsets.UTF_8);
  }

  static String word(PreparedStatement statement, int number) throws SQLException {
    statement.setInt(1, number);
    try (ResultSet rows = statement.executeQuery()) {
      rows.next();
      return rows.getString(1);
    }
  }

  static String word(int number) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(READ)) {
      return word(statement, number);
    }
  }

  static int seen(int first, int last) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(SEEN)) {
      statement.setInt(1, first);
      statement.setInt(2, last);
      try (ResultSet rows = statement.executeQuery()) {
        rows.next();
        return rows.getInt(1);
      }
    }
  }

  static void transaction(int value) throws SQLException {
    connection.setAutoCommit(false);
    expect(word(1), "word 1");
    try (PreparedStatement statement = connection.prepareStatement(WRITE)) {
      statement.setInt(1, value);
      statement.setInt(2, 1);
      statement.executeUpdate();
    }
    connection.commit();
  }

  static void ten() throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(READ)) {
      for (int number = FIRST; number <= LAST; number++) expect(word(statement, number), "word " + number);
    }
  }

  static void batch(int value) throws SQLException {
    connection.setAutoCommit(false);
    try (PreparedStatement statement = connection.prepareStatement(WRITE)) {
      for (int number = FIRST; number <= LAST; number++) {
        statement.setInt(1, value);
        statement.setInt(2, number);
        statement.addBatch();
      }
      statement.executeBatch();
    }
    connection.commit();
  }

  static void play(String script) throws SQLException, IOException {
    int value = ThreadLocalRandom.current().nextInt(1 << 30);
    if (script.equals("again")) {
      connect();
      expect(word(2), "word 2");
      connection.close();
    }
    mark(script, "begin");
    connect();
    mark(script, "connected");
    switch (script) {
      case "cold", "again" -> expect(word(7), "word 7");
      case "transaction" -> transaction(value);
      case "ten" -> ten();
      case "batch" -> batch(value);
      default -> throw new IllegalArgumentException(script);
    }
    mark(script, "done");
    mark(script, "released");
    if (script.equals("transaction")) expect(seen(1, 1), value);
    if (script.equals("batch")) expect(seen(FIRST, LAST), value);
    connection.close();
  }

  static void mark(String script, String step) throws IOException {
    System.out.println(script + " " + step);
    System.out.flush();
    for (int one = System.in.read(); one != -1 && one != '\n'; one = System.in.read()) {}
  }

  static void expect(Object got, Object wanted) {
    if (!wanted.equals(got)) throw new IllegalStateException(got + " instead of " + wanted);
  }

  public static void main(String[] asked) throws IOException {
    List<String> offered = List.of("cold", "again", "transaction", "ten", "batch");
    int status = 0;
    for (String script : asked.length > 0 ? List.of(asked) : offered) {
      if (!offered.contains(script)) continue;
      try {
        play(script);
      } catch (SQLException | RuntimeException error) {
        mark(script, "fails: " + String.valueOf(error).replaceAll("\\s+", " "));
        status = 1;
      }
    }
    System.exit(status);
  }
}
