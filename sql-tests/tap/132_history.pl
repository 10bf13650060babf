# What is remembered: requests taken only by their own target, rows that outlive a restart, clones cut
# off by a crash marked as such, a history that is pruned, a standby that shows its primary's rows as they
# are, and a history that cannot be written, which never fails a clone.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;
use Wire;

my $primary = new_primary();
sub value { return $primary->safe_psql('postgres', $_[0]) }
sub ask_for { return value("SET client_min_messages = error; SELECT request_standby_clone('$_[0]')") }

# --- taking a request -------------------------------------------------------------------
sub begins
{
	my (%with) = @_;
	my $wire = Wire->greet($primary, user => scalar getpwuid $>);
	$with{request_uuid} //= value("SELECT uuid FROM clone_records WHERE id = $with{request_id}") if $with{request_id};
	$wire->request(Wire::begin(advance_slot => 0, %with));
	return $wire;
}
my $mine = ask_for('s1');
like(begins(target => 's2', request_id => $mine)->error, qr/^(?:[A-Z]+ \w+ )?request $mine is for "s1", not for "s2"/, 'of another target');
is(value("SELECT state FROM clone_status($mine)"), 'queued', 'of another target: it still waits');
like(begins(target => 's1', request_id => 999)->error, qr/^(?:[A-Z]+ \w+ )?request 999 does not exist/, 'of nobody');
like(begins(target => 's1', request_id => $mine, request_uuid => '00000000-0000-0000-0000-000000000000')->error,
	qr/^(?:[A-Z]+ \w+ )?request $mine of this server is not the one that is to be carried out/, 'of the same number');
my $wire = begins(target => 's1', request_id => $mine);
ok(wait_until('it runs', sub { value("SELECT state || phase FROM clone_status($mine)") eq 'runningcopying' }), 'taken: it runs');
is(value("SELECT target, state, requested_by IS NOT NULL, started_at >= requested_at FROM clone_list WHERE id = $mine"),
	's1|running|t|t', 'taken: request and clone are one row');
like(($primary->psql('postgres', "SELECT request_standby_clone('s1')"))[2],
	qr/a clone to "s1" is already running\nHINT:.*cancel_standby_clone\($mine\)/, 'taken: no second request');
like(begins(target => 's3', request_id => $mine)->error, qr/is for "s1"/, 'taken: nobody else takes it');
is(value("SELECT cancel_standby_clone($mine)"), 't', 'cancelled');
like($wire->error, qr/cancelled by role/, 'cancelled: the helper hears it');
my $other = ask_for('s1');
value("SELECT cancel_standby_clone($other)");
like(begins(target => 's1', request_id => $other)->error,
	qr/^(?:[A-Z]+ \w+ )?request $other is not queued any more, it is cancelled: cancelled by role/, 'cancelled while it waited');

# A request that an open transaction holds is waited for; rolled back, it goes on.
$other = ask_for('s1');
my $holder = StandbyClone::Run->new('psql', '-XAtq', '-d', $primary->connstr('postgres'), '-c', 'BEGIN',
	'-c', "SELECT cancel_standby_clone($other)", '-c', 'SELECT pg_sleep(4)', '-c', 'ROLLBACK');
wait_until('it is held', sub { $holder->out =~ /t/ });
$wire = begins(target => 's1', request_id => $other);
ok(wait_until('it runs', sub { value("SELECT state FROM clone_status($other)") eq 'running' }), 'held for a while: taken in the end');
value("SELECT cancel_standby_clone($other)");
$holder->finish;

# --- restart and crash ------------------------------------------------------------------
my $kept = ask_for('s4');
$wire = begins(target => 's5');
wait_until('it runs', sub { value("SELECT count(*) FROM clone_progress WHERE target = 's5' AND phase = 'copying'") eq '1' });
my $cut = value("SELECT max(id) FROM clone_status() WHERE target = 's5'");
# Those that were refused have no number and no row.
my $before = value('SELECT count(id) FROM clone_history');
$primary->stop('immediate');
$primary->start;
is(value("SELECT state, error FROM clone_status($cut)"),
	'failed|the server was restarted or crashed, or its library was replaced, during the clone', 'a crash: shown as failed at once');
is(value("SELECT count(*) FROM clone_history"), $before + 1, 'a crash: the history is kept');
is(value("SELECT state FROM clone_status($kept)"), 'queued', 'a crash: a request still waits');
is(value("SELECT id FROM pg_standby_clone_agent_next('s4')"), $kept, 'a crash: and can be taken');
is(value("SELECT state, finished_at IS NOT NULL FROM clone_records WHERE id = $cut"), 'failed|t', 'a crash: written as failed');
$wire = begins(target => 's5');
wait_until('it runs', sub { value("SELECT count(*) FROM clone_progress WHERE target = 's5' AND phase = 'copying'") eq '1' });
value("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'standby clone worker'");
ok(wait_until('it has ended', sub { value("SELECT state FROM clone_status() WHERE target = 's5' LIMIT 1") eq 'failed' }),
	'a worker that is terminated: failed');
ask_for('s6');
like(value("SELECT state, error FROM clone_records WHERE target = 's5' ORDER BY id DESC LIMIT 1"),
	qr/^failed\|the clone worker was terminated/, 'a worker that is terminated: written with its reason');

# --- a history that cannot be written -----------------------------------------------------
$primary->safe_psql('postgres', <<'SQL');
CREATE ROLE nobody;
ALTER MATERIALIZED VIEW clone_records OWNER TO nobody;
SQL
my $place = new_place();
exit_is(run_clone($primary, $place, '-N', '--name', 's7'), 'completed', 'no history');
ok(value('SELECT state FROM clone_status() LIMIT 1') eq 'completed', 'no history: the clone is seen all the same');
like(content_of($primary->logfile), qr/WARNING:.*could not write the history of clone -?\d+ to "s7": permission denied/,
	'no history: a warning says why');
$primary->safe_psql('postgres', "ALTER MATERIALIZED VIEW clone_records OWNER TO CURRENT_USER; DROP ROLE nobody; SELECT pg_drop_replication_slot('s7')");
ask_for('s8');
is(value("SELECT count(*) FROM clone_records WHERE state = 'running'"), '0', 'no history: nothing is left over');

# --- a standby shows what its primary wrote -----------------------------------------------
my $standby = new_place('second');
exit_is(run_clone($primary, $standby, '-N', '--name', 'second'), 'completed', 'a standby');
prove_standby($primary, $standby, 'a standby', slot => 'second');
is($standby->safe_psql('postgres', 'SELECT id, target, state, error FROM clone_status() WHERE id IS NOT NULL ORDER BY id'),
	value('SELECT id, target, state, error FROM clone_list WHERE id IN (SELECT id FROM clone_records) ORDER BY id'),
	'a standby shows the rows of its primary');
is($standby->safe_psql('postgres', "SELECT state FROM clone_status($kept)"), 'queued', 'a standby: what waits, waits');
like(($standby->psql('postgres', "SELECT request_standby_clone('x')"))[2], qr/a clone cannot be requested during recovery/,
	'a standby takes no requests');
like(($standby->psql('postgres', "SELECT pg_standby_clone_agent_attach('x', '', '', '')"))[2], qr/during recovery/,
	'a standby has no agents');
$standby->stop;

# --- pruning, and pg_dump -------------------------------------------------------------------
$primary->append_conf('postgresql.conf', "pg_standby_clone.history_keep = 2\n");
$primary->reload;
$wire = begins(target => 's9');
wait_until('it runs', sub { value("SELECT count(*) FROM clone_progress WHERE target = 's9' AND phase = 'copying'") eq '1' });
value("SELECT cancel_standby_clone(max(id)) FROM clone_status()");
ok(wait_until('it is pruned', sub { value("SELECT count(*) FROM clone_records WHERE state IN ('completed', 'failed', 'cancelled')") eq '2' }),
	'the history is pruned');
is(value("SELECT phases @> '[{\"phase\": \"copying\"}]' FROM clone_records WHERE target = 's9' AND state = 'cancelled'"), 't',
	'with its phases');
is(value("SELECT state FROM clone_status($kept)"), 'queued', 'requests that wait are not');
my ($dump) = run_command([ 'pg_dump', '-d', $primary->connstr('postgres') ]);
like($dump, qr/CREATE EXTENSION IF NOT EXISTS pg_standby_clone/, 'pg_dump: the extension');
unlike($dump, qr/clone_records/, 'pg_dump: no requests and no history, which are of this server alone');

done_testing();
