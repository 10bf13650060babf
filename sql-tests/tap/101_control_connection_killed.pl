# The control connection breaks: while the checkpoint is waited for, while files are copied (the clone is
# shown as disconnected, and streams go on), and over and over through all phases to the end.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary();
fill_primary($primary);
my $place = new_place();

my $is_control = <<'SQL';
application_name = 'pg_standby_clone' AND backend_type = 'client backend'
 AND query LIKE 'CALL%' AND pid NOT IN (SELECT pid FROM clone_streams)
SQL
my $kill_control = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE $is_control";

# A lost control connection in the wait for a checkpoint, where the worker runs no loop of ours.
$primary->safe_psql('postgres', 'UPDATE plain SET text = text || 1; UPDATE toasted SET text = text || 1;');
my $run = start_clone($primary, $place, '-N', '-c', 'spread');
wait_until('the checkpoint is waited for', sub { phase_of($primary) eq 'checkpoint' });
$run->signal('STOP');
is($primary->safe_psql('postgres', $kill_control), 't', 'in the checkpoint: killed');
ok(wait_until('disconnected', sub {
	$primary->safe_psql('postgres', 'SELECT state FROM clone_progress') eq 'disconnected' }, 10),
	'in the checkpoint: the clone is shown as disconnected');
$run->signal('CONT');
ok(wait_until('running', sub {
	$primary->safe_psql('postgres', 'SELECT state FROM clone_progress') eq 'running' }, 10),
	'in the checkpoint: and as running again');
is(phase_of($primary), 'checkpoint', 'in the checkpoint: it is the same wait');
$primary->safe_psql('postgres', 'CHECKPOINT');
exit_is($run, 'completed', 'in the checkpoint');
prove_standby($primary, $place, 'in the checkpoint');
$place->stop;
$place->clean_node;

$run = start_clone($primary, $place, '-N', '-r', '4M', '-j', '2');
wait_for_copying($primary, $run);
my $streams = $primary->safe_psql('postgres', 'SELECT pid FROM clone_streams ORDER BY 1');
$run->signal('STOP');
$primary->safe_psql('postgres', $kill_control);
ok(wait_until('disconnected', sub {
	$primary->safe_psql('postgres', 'SELECT state FROM clone_status() LIMIT 1') eq 'disconnected' }, 10),
	'in the copy: disconnected');
$run->signal('CONT');
ok(wait_until('running', sub {
	$primary->safe_psql('postgres', 'SELECT state FROM clone_progress') eq 'running' }, 10),
	'in the copy: running again');
is($primary->safe_psql('postgres', 'SELECT pid FROM clone_streams ORDER BY 1'), $streams,
	'in the copy: the streams were not touched');
like($run->err, qr/warning: lost a connection to the donor \(control\): terminating connection/,
	'the program says so');
like($run->err, qr/all connections to the donor are there again/, 'and that it is over');

# From here to the end each control connection lives some tenths of a second.
my $hammer = $primary->background_psql('postgres', on_error_stop => 0);
$hammer->query_until(qr/started/, <<SQL);
\\echo started
DO \$\$
BEGIN
  FOR i IN 1..600 LOOP
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE $is_control AND backend_start < clock_timestamp() - interval '0.15 s';
    PERFORM pg_stat_clear_snapshot();
    EXIT WHEN NOT EXISTS (SELECT FROM clone_progress);
    PERFORM pg_sleep(0.05);
  END LOOP;
END \$\$;
SQL
exit_is($run, 'completed', 'to the end');
my $times = () = $run->err =~ /lost a connection to the donor \(control\)/g;
cmp_ok($times, '>', 3, "to the end: it was lost $times times");
$hammer->quit;
is($primary->safe_psql('postgres', 'SELECT state FROM clone_status() LIMIT 1'), 'completed',
	'to the end: the donor has heard that it is complete');
is($primary->safe_psql('postgres', 'SELECT count(*) FROM clone_status()'), '2', 'two runs were two sessions');
prove_standby($primary, $place, 'to the end');
$place->stop;

done_testing();
