# DBD::Pg, on the system's libpq.
use strict;
use warnings;
use utf8;
use DBI qw(:sql_types);
use DBD::Pg qw(:pg_types :async);
use Digest::SHA qw(sha256_hex);
use JSON::PP;

my $json = JSON::PP->new->canonical->utf8;
my $text = "a 'quoted' \\ name 日本 😀";
my $big = 'x' x 5_000_000;

sub say_line { my ($feature, $result) = @_; print $json->encode({ feature => $feature, result => $result }), "\n"; }
sub connection { DBI->connect('dbi:Pg:', undef, undef, { RaiseError => 1, PrintError => 0, PrintWarn => 0, AutoCommit => 1 }); }
sub rows { my ($dbh, $sql, @values) = @_; $dbh->selectall_arrayref($sql, undef, @values); }
sub failure {
    my ($dbh, $doing) = @_;
    return [undef, undef] if eval { $doing->(); 1 };
    return [$dbh->state, $dbh->errstr, $dbh->pg_error_field('constraint'), $dbh->pg_error_field('detail')];
}

my $dbh = connection();
if ($ARGV[0] eq 'refusal') {
    my ($sqlstate, $message) = @{ failure($dbh, sub { $dbh->do('DELETE FROM items') }) };
    say_line('refusal', { sqlstate => $sqlstate, message => $message, afterwards => 0 + rows($dbh, 'SELECT count(*) FROM items')->[0][0] });
    exit;
}

say_line('version', "$DBD::Pg::VERSION");
say_line('connect', rows($dbh, "SELECT current_user, current_database(), current_setting('application_name'), current_setting('client_encoding'), (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())"));
say_line('queries', [rows($dbh, 'INSERT INTO notes (item, body) VALUES (?, ?), (2, ?) RETURNING *', 1, $text, undef), $dbh->do('UPDATE items SET name = ? WHERE id < ?', undef, $text, 4), rows($dbh, 'SELECT id, name FROM items ORDER BY id LIMIT 3')]);
say_line('types', [rows($dbh, 'SELECT * FROM everything ORDER BY id'), rows($dbh, 'SELECT ?::int[], ?::jsonb', [1, 2], '{"a": 1}')]);
say_line('large', [sha256_hex($json->encode(rows($dbh, 'SELECT g, repeat(md5(g::text), 300) FROM generate_series(1, 1000) g'))), rows($dbh, 'SELECT length(?)', $big)]);
say_line('errors', [map { my $sql = $_; (failure($dbh, sub { $dbh->do($sql) }), failure($dbh, sub { rows($dbh, $sql) })) } 'SELEC', 'SELECT * FROM missing', 'SELECT 1/0', "INSERT INTO items VALUES (1, 'one')", 'INSERT INTO items VALUES (1000, NULL)']);

$dbh->begin_work;
$dbh->do("INSERT INTO items VALUES (200, 'a')");
$dbh->pg_savepoint('s');
my @steps = (failure($dbh, sub { $dbh->do("INSERT INTO items VALUES (1, 'b')") }), failure($dbh, sub { $dbh->do('SELECT 1') }), $dbh->ping);
$dbh->pg_rollback_to('s');
$dbh->commit;
$dbh->begin_work;
$dbh->do('DELETE FROM items WHERE id = 200');
$dbh->rollback;
say_line('transactions', [@steps, rows($dbh, 'SELECT id FROM items WHERE id >= 200')]);

my $by_id = $dbh->prepare('SELECT name FROM items WHERE id = ?');
say_line('prepared', [map { $by_id->execute($_); $by_id->fetchall_arrayref } 0 .. 9]);

$dbh->do('COPY items (id, name) FROM STDIN');
$dbh->pg_putcopydata("@{[1000 + $_]}\titem $_\n") for 0 .. 1999;
$dbh->pg_putcopyend;
$dbh->do('COPY (SELECT * FROM items ORDER BY id) TO STDOUT');
my ($out, $line) = ('', '');
$out .= $line while $dbh->pg_getcopydata($line) >= 0;
$dbh->do('COPY items (id, name) FROM STDIN');
$dbh->pg_putcopydata("1\tx\n");
say_line('copy', [sha256_hex($json->encode([$out])), failure($dbh, sub { $dbh->pg_putcopyend })]);

my $other = connection();
$dbh->do('LISTEN "news of today"');
$other->do("SELECT pg_notify('news of today', ?)", undef, $text);
my $heard;
until ($heard = $dbh->pg_notifies) { }
say_line('listen', [$heard->[0], $heard->[2]]);

$dbh->begin_work;
$dbh->do('DECLARE c CURSOR FOR SELECT id FROM items ORDER BY id');
say_line('cursor', [rows($dbh, 'FETCH 3 FROM c'), rows($dbh, 'FETCH 2 FROM c')]);
$dbh->commit;

my $pid = $dbh->{pg_pid};
my $sleeping = $dbh->prepare('SELECT pg_sleep(60)', { pg_async => PG_ASYNC });
$sleeping->execute;
until (rows($other, "SELECT count(*) FROM pg_stat_activity WHERE pid = $pid AND wait_event = 'PgSleep'")->[0][0] == 1) { }
say_line('cancel', [$dbh->pg_cancel, rows($dbh, 'SELECT 1')]);
