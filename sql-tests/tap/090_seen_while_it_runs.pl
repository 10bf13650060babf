# What a DBA sees of a clone that runs: clone_progress, clone_streams, clone_phases, clone_status() and
# the server's own view; two clones at once are told apart. No process of a clone holds back vacuum.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary(conf => "listen_addresses = '127.0.0.1'\n");
fill_primary($primary);
my ($first, $second) = (new_place('first'), new_place('second'));
my $run = start_clone($primary, $first, '-N', '--name', 'first', '-r', '4M', '-j', '2');
wait_for_copying($primary, $run);
sub value { return $primary->safe_psql('postgres', $_[0]) }

my ($done) = value('SELECT bytes_done FROM clone_progress');
like(value('SELECT target, state, phase, percent BETWEEN 0 AND 99, bytes_done < bytes_total, bytes_sent > 0, '
		. "elapsed >= '0', streams, wal_retained >= 0 FROM clone_progress"),
	qr/^first\|running\|copying\|t\|t\|t\|t\|2\|t$/, 'clone_progress');
wait_until('it moves', sub { value('SELECT bytes_done FROM clone_progress') > $done });
wait_until('rate and ETA are there', sub { value('SELECT throughput > 0 AND eta > $$0$$ FROM clone_progress') eq 't' });
cmp_ok(value('SELECT throughput FROM clone_progress'), '<', 6_000_000, 'throughput is near the limit');
is(value("SELECT count(*), count(DISTINCT pid), bool_and(compression = 'none'), bool_and(bytes_sent > 0) FROM clone_streams"),
	'2|2|t|t', 'clone_streams');
ok(wait_until('files are named', sub { value("SELECT count(*) FROM clone_streams WHERE file ~ '^(base|global)/'") > 0 }),
	'clone_streams names the files');
ok(wait_until('they wait for the rate', sub { value("SELECT count(*) FROM clone_streams WHERE waiting_for = 'rate'") > 0 }),
	'clone_streams says what is waited for');
is(value("SELECT string_agg(phase || (finished_at IS NOT NULL), ' ' ORDER BY started_at) FROM clone_phases"),
	'preparingtrue checkpointtrue copyingfalse', 'clone_phases');
like(value('SELECT id, destination, slot_name, client_addr, start_lsn IS NOT NULL, stop_lsn IS NULL, '
		. 'finished_at IS NULL, error IS NULL FROM clone_status()'),
	qr/^1\|.+:\Q@{[substr $first->data_dir, 0, 60]}\E.*\|first\|.*\|t\|t\|t\|t$/, 'clone_status()');
like(value('SELECT p.phase, p.backup_streamed > 0, p.backup_total > p.backup_streamed, a.backend_type '
		. 'FROM pg_stat_progress_basebackup p JOIN pg_stat_activity a USING (pid)'),
	qr/^streaming database files\|t\|t\|standby clone worker$/, 'pg_stat_progress_basebackup');
is(value("SELECT count(*) FROM pg_replication_slots WHERE temporary AND active AND slot_name ~ '^pg_standby_clone_'"), '1',
	'the temporary slot holds the WAL');
is(value("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'first'"), '0',
	'the permanent slot does not exist yet');

# A second one beside it.
my $other = start_clone($primary, $second, '-N', '--name', 'second', '-r', '4M', '-j', '3');
wait_until('both copy', sub { value("SELECT count(*) FROM clone_progress WHERE phase = 'copying' AND bytes_done > 0") eq '2' });
# Until a connection has begun to serve, it holds a snapshot as any that begins a command.
wait_until('all streams send', sub { value('SELECT count(*) FROM clone_streams WHERE bytes_sent > 0') eq '5' });
is(value("SELECT string_agg(target || streams, ' ' ORDER BY id) FROM clone_progress"), 'first2 second3', 'two are told apart');
is(value("SELECT string_agg(n::text, ' ') FROM (SELECT count(*) AS n FROM clone_streams GROUP BY id ORDER BY id) s"), '2 3',
	'each with its streams');
is(value('SELECT count(*) FROM pg_stat_progress_basebackup'), '2', 'the server shows both');
is(value('SELECT target FROM clone_status(2)'), 'second', 'clone_status(id)');
is(value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_standby_clone' "
		. "AND backend_type = 'client backend' AND query ~ 'CALL .*pg_standby_clone_stream\\(\\)\$'"), '7',
	'no secret is in pg_stat_activity');

# Nothing of it holds back vacuum, at no moment.
my $look = <<'SQL';
SELECT pg_stat_clear_snapshot(), pg_sleep(0.02);
SELECT concat_ws(' ', 'held by', pid, backend_type, state, query, now() - backend_start, now() - query_start) FROM pg_stat_activity
 WHERE (application_name = 'pg_standby_clone' OR backend_type = 'standby clone worker')
   AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL);
SQL
# (Connecting and starting take a snapshot, for a moment.)
wait_until('nothing is held', sub { value($look) !~ /held by/ });
is(join("\n", grep { /held by/ } split /\n/, value($look x 40)), '', 'backend_xmin is null in each of 40 looks');
is(value("SELECT count(*) FROM pg_replication_slots WHERE xmin IS NOT NULL"), '0', 'nor do its slots');

# Paused, so that it is still there however long the third one takes to start.
value("SELECT pause_standby_clone(2)");
clone_fails(run_clone($primary, new_place('third'), '--name', 'second'), 'preflight',
	qr/a clone to "second" is already running.*\n.*--name/, 'a third of the same name');
value("SELECT resume_standby_clone(2)");

exit_is($run, 'completed', 'the first');
exit_is($other, 'completed', 'the second');
prove_standby($primary, $first, 'the first', slot => 'first');
prove_standby($primary, $second, 'the second', slot => 'second');
is(value("SELECT string_agg(target || ' ' || state, ', ' ORDER BY id) FROM clone_status()"),
	'first completed, second completed', 'both are remembered');

# On a line-oriented output -P gives lines.
my $third = new_place('fourth');
$run = run_clone($primary, $third, '-N', '--name', 'fourth', '-P', '-r', '2M');
exit_is($run, 'completed', '-P');
like($run->err, qr/^pg_standby_clone: [\d.]+%, [\d.]+ MB of [\d.]+ MB, [\d.]+ MB\/s, wire [\d.]+ MB\/s$/m, '-P: lines');
unlike($run->err, qr/\r|\e/, '-P: and nothing for a terminal');

# On a terminal there is a bar.
my $fifth = new_place('fifth');
my ($host, $port) = ($primary->host, $primary->port);
my $text = `script -qec "stty cols 120; pg_standby_clone -D @{[$fifth->data_dir]} -h $host -p $port -w --name fifth -N -r 6M" /dev/null 2>&1`;
is($? >> 8, 0, 'terminal: completed');
like($text, qr/\r\e\[Kcopying \[#*\.*\] +[\d.]+% [\d.]+ MB of [\d.]+ MB  [\d.]+ MB\/s  wire [\d.]+ MB\/s  \d+ streams?  ETA/,
	'terminal: a bar with percent, bytes, rates, streams and ETA');

done_testing();
