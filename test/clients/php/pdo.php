<?php
// PDO with pdo_pgsql, on the system's libpq.
const TEXT = "a 'quoted' \\ name 日本 😀";

function say(string $feature, mixed $result): void
{
    echo json_encode(['feature' => $feature, 'result' => $result], JSON_UNESCAPED_UNICODE | JSON_PARTIAL_OUTPUT_ON_ERROR), "\n";
}

function connection(): PDO
{
    $dsn = sprintf("pgsql:host=%s;port=%s;dbname=%s;sslmode=verify-full;sslrootcert=%s", ...array_map('getenv', ['PGHOST', 'PGPORT', 'PGDATABASE', 'PGSSLROOTCERT']));
    return new PDO($dsn, getenv('PGUSER'), getenv('PGPASSWORD'), [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
}

function rows(PDO $pdo, string $sql, array $values = []): array
{
    $statement = $pdo->prepare($sql);
    $statement->execute($values);
    // A bytea comes as a stream.
    return array_map(
        fn (array $row) => array_map(fn ($value) => is_resource($value) ? bin2hex(stream_get_contents($value)) : $value, $row),
        $statement->fetchAll(PDO::FETCH_NUM)
    );
}

function failure(callable $doing): array
{
    try {
        $doing();
        return [null, null];
    } catch (PDOException $error) {
        return [$error->errorInfo[0], $error->errorInfo[2]];
    }
}

$pdo = connection();
if ($argv[1] === 'refusal') {
    [$sqlstate, $message] = failure(fn () => $pdo->exec('DELETE FROM items'));
    say('refusal', ['sqlstate' => $sqlstate, 'message' => $message, 'afterwards' => (int) rows($pdo, 'SELECT count(*) FROM items')[0][0]]);
    exit;
}

say('version', PHP_VERSION);
say('connect', rows($pdo, "SELECT current_user, current_database(), current_setting('application_name'), current_setting('client_encoding'), (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())"));
say('queries', [rows($pdo, 'INSERT INTO notes (item, body) VALUES (?, ?), (2, ?) RETURNING *', [1, TEXT, null]), $pdo->exec("UPDATE items SET name = 'x' WHERE id < 4"), $pdo->query('SELECT id, name FROM items ORDER BY id LIMIT 3')->fetchAll(PDO::FETCH_NUM)]);
say('types', rows($pdo, 'SELECT * FROM everything ORDER BY id'));
say('large', [hash('sha256', json_encode(rows($pdo, 'SELECT g, repeat(md5(g::text), 300) FROM generate_series(1, 1000) g'))), rows($pdo, 'SELECT length(?)', [str_repeat('x', 5_000_000)])]);
$failures = [];
foreach (['SELEC', 'SELECT * FROM missing', 'SELECT 1/0', "INSERT INTO items VALUES (1, 'one')", 'INSERT INTO items VALUES (1000, NULL)'] as $sql) {
    $failures[] = failure(fn () => $pdo->exec($sql));
    $failures[] = failure(fn () => rows($pdo, $sql));
}
say('errors', $failures);

$pdo->beginTransaction();
$pdo->exec("INSERT INTO items VALUES (200, 'a')");
$pdo->exec('SAVEPOINT s');
$steps = [failure(fn () => $pdo->exec("INSERT INTO items VALUES (1, 'b')")), failure(fn () => $pdo->exec('SELECT 1'))];
$pdo->exec('ROLLBACK TO s');
$pdo->commit();
$pdo->beginTransaction();
$pdo->exec('DELETE FROM items WHERE id = 200');
$pdo->rollBack();
say('transactions', [$steps, rows($pdo, 'SELECT id FROM items WHERE id >= 200')]);

$byId = $pdo->prepare('SELECT name FROM items WHERE id = :id');
$prepared = [];
for ($id = 0; $id < 10; $id += 1) {
    $byId->execute(['id' => $id]);
    $prepared[] = $byId->fetchAll(PDO::FETCH_NUM);
}
say('prepared', $prepared);

$pdo->pgsqlCopyFromArray('items', array_map(fn ($i) => (1000 + $i) . "\titem $i", range(0, 1999)), "\t", '\\\\N', 'id, name');
say('copy', [hash('sha256', implode('', $pdo->pgsqlCopyToArray('items', "\t", '\\\\N', 'id, name'))), failure(fn () => $pdo->pgsqlCopyFromArray('items', ["1\tx"], "\t", '\\\\N', 'id, name'))]);

$other = connection();
$pdo->exec('LISTEN "news of today"');
rows($other, "SELECT pg_notify('news of today', ?)", [TEXT]);
$heard = $pdo->pgsqlGetNotify(PDO::FETCH_NUM, 20000);
say('listen', [$heard[0], $heard[2]]);

$pdo->beginTransaction();
$cursor = $pdo->prepare('SELECT id FROM items ORDER BY id', [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]);
$cursor->execute();
$parts = [$cursor->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_ABS, 5), $cursor->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_PRIOR), $cursor->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_LAST)];
$cursor = null;
$pdo->commit();
say('cursor', $parts);
