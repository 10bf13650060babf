# A standby that fell behind, its WAL gone from the primary, is made current in place: cleanly
# stopped, and crashed. Without --delta it is refused, with a hint; only what differs travels.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary();
fill_primary($primary, rows => 60000);
my $standby = new_place();
exit_is(run_clone($primary, $standby, '-N'), 'completed', 'the first clone');
my $full = wire_of(run_clone($primary, new_place('other'), '-N', '--name', 'other', '--no-slot', '--json'));
prove_standby($primary, $standby, 'the first clone');

# Of a run with --json: what was there already.
sub kept_of { return $_[0]->out =~ /"type":"result".*"bytes_kept":(\d+)/ ? $1 : 'nothing said' }

for my $how (qw(fast immediate))
{
	my $what = $how eq 'fast' ? 'cleanly stopped' : 'crashed';
	$standby->stop($how);
	# Its own life left traces: a log, and a file of the administrator's.
	append_to_file($standby->data_dir . '/note_of_the_dba.txt', "keep me\n");
	$primary->safe_psql('postgres', <<SQL);
UPDATE plain SET text = 'changed, $how' WHERE id % 500 = 0;
INSERT INTO plain SELECT n, 'new, $how' FROM generate_series((SELECT max(id) + 1 FROM plain), (SELECT max(id) + 3000 FROM plain)) n;
DELETE FROM toasted WHERE id % 10 = length('$how') % 10;
CREATE TABLE only_$how (id integer PRIMARY KEY);
INSERT INTO only_$how SELECT generate_series(1, 1000);
DROP MATERIALIZED VIEW summary;
CREATE MATERIALIZED VIEW summary AS SELECT id % 7 AS group, count(*) FROM plain GROUP BY 1;
VACUUM;
SQL
	# The WAL that it would need goes.
	$primary->safe_psql('postgres', q(SELECT pg_drop_replication_slot('clone')));
	my $needed = $primary->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_lsn())');
	for my $round (1 .. 3)
	{
		$primary->safe_psql('postgres', $_)
		  for ('CREATE TABLE a_while AS SELECT 1; DROP TABLE a_while', 'SELECT pg_switch_wal()', 'CHECKPOINT');
	}
	ok(!-e $primary->data_dir . "/pg_wal/$needed", "$what: the WAL it would need is gone");

	my $again = run_clone($primary, $standby, '-N');
	exit_is($again, 'completed', "$what, without --delta");
	like($again->err, qr/slot "clone" of the standby is not on the donor any more.*\n.*complete already.*--delta/,
		"$what, without --delta: says what is lost, and what would help");
	ok(-e $standby->data_dir . '/global/pg_control', "$what, without --delta: nothing was changed");

	my $run = run_clone($primary, $standby, '--delta', '--json', '-N');
	exit_is($run, 'completed', $what);
	is(status_of($primary, 'state, method, bytes_kept'), 'completed|compare|' . kept_of($run), "$what: seen by the donor");
	cmp_ok(wire_of($run), '<', $full / 2, "$what: less than half of a full clone went over the wire");
	like($run->out, qr/note_of_the_dba.txt.*is kept/, "$what: says that the file of others is kept");
	is(content_of($standby->data_dir . '/note_of_the_dba.txt'), $how eq 'fast' ? "keep me\n" : "keep me\nkeep me\n",
		"$what: and keeps it");
	ok(!-e $standby->data_dir . '/backup_label.old', "$what: no trace of the first start");
	prove_standby($primary, $standby, $what);
}
$standby->stop;

# And a replica of the same that nobody has touched: next to nothing travels.
my $other = PostgreSQL::Test::Cluster->new('again');
exit_is(run_clone($primary, $other, '-N', '--name', 'again'), 'completed', 'unchanged: made');
my $run = run_clone($primary, $other, '--delta=compare', '--json', '-N', '--name', 'again');
exit_is($run, 'completed', 'unchanged');
cmp_ok(wire_of($run), '<', 500_000, 'unchanged: next to nothing travels');
prove_standby($primary, $other, 'unchanged', slot => 'again');
$other->stop;

# While it runs, by a run that goes on with it, and when nothing is left in the donor's memory.
$primary->safe_psql('postgres', 'CREATE TABLE large AS SELECT n, repeat(md5(n::text), 30) FROM generate_series(1, 8000) n');
$run = start_clone($primary, $other, '--delta=compare', '--json', '-N', '--name', 'again', '-r', '2M');
my $seen = '';
wait_until('something is kept', sub {
	($seen = status_of($primary, 'state, method, bytes_kept <= bytes_done, phase, bytes_kept > 0')) =~ /\|copying\|t$/ });
is($seen, 'running|compare|t|copying|t', 'seen while it runs');
$run->signal('KILL');
$run->finish;
$run = run_clone($primary, $other, '--json', '-N', '--name', 'again');
exit_is($run, 'completed', 'gone on with');
like($run->out, qr/in the same session.*"type":"progress".*"method":"compare",.*"bytes_kept":[1-9].*"type":"result".*"method":"compare"/s,
	'gone on with: seen by the program');
$primary->restart;
is(status_of($primary, 'state, method, bytes_kept'), 'completed|compare|' . kept_of($run), 'seen after a restart');
is($primary->safe_psql('postgres', "SELECT string_agg(concat_ws(' ', target, method, bytes_kept > 0), ', ' ORDER BY id) FROM clone_history"),
	'clone full f, other full f, clone compare t, clone compare t, again full f, again compare t, again compare t',
	'so are all');

done_testing();
