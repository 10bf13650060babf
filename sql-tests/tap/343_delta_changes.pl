# Of a directory whose WAL is the donor's only what changed since comes: by WAL summaries on 17 and later, elsewhere by the
# LSN of pages. A standby stopped in order, one that crashed, an old primary after a switchover; tables cut and grown
# again, vacuumed, dropped, numbers of files used again, databases copied file by file. What is not beyond doubt is compared.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

# The new primary has no slot for the old one.
my $primary = new_primary(conf => "checkpoint_timeout = 1h\nwal_keep_size = 1GB\n");
my $major = major_of($primary);
if ($major >= 17)
{
	$primary->append_conf('postgresql.conf', "summarize_wal = on\n");
	$primary->restart;
}
fill_primary($primary);
$primary->safe_psql('postgres', <<SQL);
CREATE TABLE big1 (n int, text text);
ALTER TABLE big1 ALTER text SET STORAGE PLAIN;
CREATE TABLE big2 (LIKE big1 INCLUDING STORAGE);
INSERT INTO big1 SELECT n, repeat(md5(n::text), 230) FROM generate_series(1, 5000) n;
INSERT INTO big2 SELECT * FROM big1;
CREATE TABLE emptied AS SELECT n, repeat('x', 200) AS text FROM generate_series(1, 20000) n;
CREATE TABLE shrunk AS SELECT n, repeat('x', 200) AS text FROM generate_series(1, 20000) n;
CREATE TABLE dropped AS SELECT n FROM generate_series(1, 20000) n;
CREATE TABLE indexed AS SELECT n, point(n, n) AS place, ARRAY[n % 7] AS numbers FROM generate_series(1, 5000) n;
CREATE INDEX ON indexed USING spgist (place);
CREATE INDEX ON indexed USING gist (place);
CREATE INDEX ON indexed USING gin (numbers);
CREATE INDEX ON indexed USING brin (n);
CREATE INDEX ON indexed USING hash (n);
VACUUM FREEZE;
SQL
my $standby = new_place();
exit_is(run_clone($primary, $standby, '-N'), 'completed', 'the first clone');
prove_standby($primary, $standby, 'the first clone');

my $round = 0;
sub change
{
	my ($node) = @_;
	++$round;
	$node->safe_psql('postgres', $_) for split /;\n/, <<SQL;
UPDATE big1 SET n = n + 1 WHERE n % 500 = $round;
DELETE FROM plain WHERE id % 50 = $round;
UPDATE toasted SET text = repeat('$round', 9000) WHERE id < 20;
INSERT INTO indexed SELECT n, point(n, -n), ARRAY[n % 5] FROM generate_series(1, 300) n;
TRUNCATE emptied;
CHECKPOINT;
INSERT INTO emptied SELECT n, repeat('$round', 200) FROM generate_series(1, 5000) n;
DELETE FROM shrunk WHERE n > 5000;
VACUUM shrunk, plain;
CHECKPOINT;
INSERT INTO shrunk SELECT n, repeat('$round', 200) FROM generate_series(5001, 15000) n;
DROP TABLE IF EXISTS dropped;
CREATE TABLE made_$round AS SELECT n FROM generate_series(1, 3000) n;
VACUUM FULL pg_class;
REFRESH MATERIALIZED VIEW summary;
SELECT nextval('counter')
SQL
	return if $round > 1;
	$node->safe_psql('postgres', "CREATE DATABASE $_ STRATEGY $_") for qw(file_copy wal_log);
	return;
}

# The run took what changed and said from where it knew; little travelled; and it is what the donor is.
sub is_changed
{
	my ($donor, $place, $what, $options, %with) = @_;
	my $run = run_clone($donor, $place, @$options, '--json', '-v', '-N');
	exit_is($run, 'completed', $what);
	like($run->out, qr/"method":"changes"/, "$what: by what changed");
	like($run->out . $run->err, $major >= 17 ? qr/told by the donor's WAL summaries/ : qr/told by the LSN of each/,
		"$what: says how that is known");
	my ($bytes) = $run->out =~ /"type":"result".*"bytes":(\d+)/;
	cmp_ok(wire_of($run), '<', $bytes / 2, "$what: less than half of it travelled");
	prove_standby($donor, $place, $what, %with);
	return $run;
}

for my $how (qw(fast immediate))
{
	$primary->safe_psql('postgres', "CREATE TABLE before_$how ()");
	catch_up($primary, $standby);
	$standby->stop($how);
	change($primary);
	is_changed($primary, $standby, "stopped: $how", ['--delta=changes']);
	my $manifest = slurp_file($standby->data_dir . '/backup_manifest');
	my $path = $primary->safe_psql('postgres', "SELECT pg_relation_filepath('big2')");
	like($manifest, qr/"Path": "\Q$path\E", "Size": \d+, "Last-Modified": "[^"]*" \}/,
		"stopped: $how: of a file that was not read the manifest has no checksum");
}

# Killed in the middle it cannot be started; the same command goes on, by comparison, and the donor hears of that.
catch_up($primary, $standby);
$standby->stop;
change($primary);
my @command = ('--delta=changes', '--json', '-N', '-r', '4M');
my $killed = start_clone($primary, $standby, @command);
wait_until('something has come', sub {
	!-e $standby->data_dir . '/global/pg_control'
		&& status_of($primary, 'method, phase, bytes_done > bytes_kept') eq 'changes|copying|t' });
$killed->signal('KILL');
$killed->finish;
ok(!-e $standby->data_dir . '/global/pg_control', 'killed: cannot be started');
$killed = run_clone($primary, $standby, @command[0 .. 2]);
exit_is($killed, 'completed', 'killed, and gone on with');
like($killed->out, qr/in the same session.*"type":"result".*"method":"compare"/s, 'killed, and gone on with: by comparison');
is(status_of($primary, 'state, method'), 'completed|compare', 'killed, and gone on with: seen by the donor');
prove_standby($primary, $standby, 'killed, and gone on with');

# Replay would do, but not where a copy was asked for.
catch_up($primary, $standby);
$standby->stop;
change($primary);
my $run = is_changed($primary, $standby, 'with the donor\'s configuration',
	[ '--delta', '--donor-config', '--manifest-checksums=crc32c' ]);
like($run->out . $run->err, qr/because replay alone is not enough: --donor-config/, 'with the donor\'s configuration: says why');
my @without = grep { !/"Checksum"/ && /"Path"/ } split /\n/, slurp_file($standby->data_dir . '/backup_manifest');
is("@without", '', 'checksums by name: of every file');

# A switchover: the old primary is of the new one's history, and has nothing of its own.
$primary->stop;
$standby->promote;
change($standby);
$run = run_clone($standby, $primary, '--delta=changes', '--json', '-N', '--name', 'old');
exit_is($run, 'completed', 'an old primary after a switchover');
like($run->out, qr/"method":"changes"/, 'an old primary after a switchover: by what changed');
prove_standby($standby, $primary, 'an old primary after a switchover', slot => 'old');
# What it noted in the first page of such an index no WAL tells.
my $index = $standby->safe_psql('postgres', "SELECT pg_relation_filepath('indexed_place_idx')");
my @first = map { substr(content_of($_->data_dir . "/$index"), 0, 8192) } ($standby, $primary);
ok($first[0] eq $first[1], 'an old primary after a switchover: the first page of an SP-GiST index is the donor\'s');

# The directory has crashed as a primary: refused by name, and nothing is changed.
$primary->promote;
$primary->stop('immediate');
clone_fails(run_clone($standby, $primary, '--delta=changes', '-N', '--name', 'old'), 'target',
	qr/crashed as a primary/, 'a primary that crashed');
$standby->stop;

# Without data checksums a page that becomes all-visible keeps its LSN.
my $bare = new_primary(name => 'bare', checksums => 0, initdb => $major >= 18 ? ['--no-data-checksums'] : []);
fill_primary($bare);
my $copy = new_place('copy');
exit_is(run_clone($bare, $copy, '-N', '--name', 'copy'), 'completed', 'without checksums: the first clone');
prove_standby($bare, $copy, 'without checksums: the first clone', slot => 'copy');
$copy->stop;
$bare->safe_psql('postgres', 'DELETE FROM plain WHERE id <= 1000; VACUUM plain; CHECKPOINT');
my $control = slurp_file($copy->data_dir . '/global/pg_control');
clone_fails(run_clone($bare, $copy, '--delta=changes', '-N', '--name', 'copy'), 'target',
	qr/does not summarize WAL, and without data checksums/, 'without checksums, by name');
is(slurp_file($copy->data_dir . '/global/pg_control'), $control, 'without checksums, by name: nothing was changed');
$run = run_clone($bare, $copy, '--delta', '--donor-config', '--json', '-N', '--name', 'copy');
exit_is($run, 'completed', 'without checksums');
like($run->out, qr/"method":"compare"/, 'without checksums: is compared');
like($run->out . $run->err, qr/because what changed is not known/, 'without checksums: says why');
prove_standby($bare, $copy, 'without checksums', slot => 'copy');

done_testing();
