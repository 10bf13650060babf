# A directory whose WAL the donor still has becomes its standby by replay alone: stopped in order, crashed, and an
# old primary after a switchover. Nothing is copied and no backup is begun; what would mislead the recovery goes.
use strict;
use warnings;
use File::Path qw(make_path);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary();
fill_primary($primary);
my $standby = new_place();
exit_is(run_clone($primary, $standby, '-N'), 'completed', 'the first clone');
prove_standby($primary, $standby, 'the first clone');

sub write_more
{
	my ($node, $what) = @_;
	$node->safe_psql('postgres', <<SQL);
UPDATE plain SET text = '$what' WHERE id % 100 = 0;
CREATE TABLE of_$what AS SELECT generate_series(1, 1000) n;
VACUUM plain;
CHECKPOINT;
SQL
}

sub redo_of
{
	my ($out) = run_command([ 'pg_controldata', $_[0]->data_dir ]);
	return $out =~ /REDO location:\s+(\S+)/ ? $1 : 'none';
}

# What is in no history of the donor's: it would be followed, and hold WAL for ever.
sub leave_traces
{
	my ($data) = @_;
	append_to_file("$data/pg_wal/00000005.history", "1\t0/1\tbogus\n");
	make_path("$data/pg_replslot/of_another_life");
}

my %says = (fast => 'stopped in order', immediate => 'crashed');
for my $how (qw(fast immediate))
{
	my $what = $says{$how};
	# Stopped in order it has a checkpoint of its own, and the donor all WAL from there on. The one that crashes
	# has an older one, whose WAL nobody else has any more.
	$primary->safe_psql('postgres', $how eq 'fast' ? 'CHECKPOINT' : 'SELECT pg_switch_wal()');
	$primary->safe_psql('postgres', "CREATE TABLE before_$how ()");
	catch_up($primary, $standby);
	$standby->stop($how);
	write_more($primary, $how);
	leave_traces($standby->data_dir);
	my $redo = redo_of($standby);
	my $run = run_clone($primary, $standby, '--delta', '--json', '-N');
	exit_is($run, 'completed', $what);
	my ($from) = $run->out =~ /by replay: the donor has all WAL from (\S+)/;
	# 19 writes out eight digits.
	$from = $primary->safe_psql('postgres', "SELECT '$from'::pg_lsn");
	$how eq 'fast' ? is($from, $redo, "$what: from its checkpoint on") : isnt($from, $redo, "$what: from its end on");
	like($run->out, qr/"method":"replay"/, "$what: the result says so, too");
	like($run->out, qr/"bytes":0,/, "$what: nothing was copied");
	is(status_of($primary, 'start_lsn, state, method, bytes_kept'), "$from|completed|replay|0", "$what: a clone like any other");
	ok(!-e $standby->data_dir . "/$_", "$what: no $_")
	  for qw(backup_label backup_manifest pg_wal/00000005.history pg_replslot/of_another_life);
	prove_standby($primary, $standby, $what, no_manifest => 1);
}

# Started by the program, as soon as it has been looked at: it has what the donor had by then.
$standby->stop;
write_more($primary, 'by_start');
my $go = scratch('start') . '/now';
my $started = start_clone($primary, $standby, '--delta=replay', '-N', '--start', '--start-command',
	"until [ -e '$go' ]; do sleep 0.1; done; exec pg_ctl start -s -w -D '@{[$standby->data_dir]}' -l '$go.log'");
wait_until('it is to be started', sub { status_of($primary, 'phase') eq 'starting' });
is(status_of($primary, 'state, method, bytes_kept'), 'running|replay|0', '--start: seen while it runs');
is($primary->safe_psql('postgres', "SELECT string_agg(phase, ' ' ORDER BY started_at) FROM clone_phases WHERE id = (SELECT id FROM clone_progress)"),
	'preparing finishing starting', '--start: in no phase of a backup');
is($primary->safe_psql('postgres', 'SELECT count(*) FROM pg_stat_progress_basebackup'), '0', '--start: nor is one shown');
append_to_file($go, '');
exit_is($started, 'completed', '--start');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM of_by_start'), '1000', '--start: waits until all is there');
prove_started($primary, $standby, '--start');

# After a switchover the old primary has nothing of its own: it follows on the new timeline.
$primary->stop('fast');
$standby->promote;
write_more($standby, 'after_it');
my $run = run_clone($standby, $primary, '--delta', '--json', '-N', '--name', 'old');
exit_is($run, 'completed', 'an old primary after a switchover');
like($run->out, qr/"method":"replay"/, 'an old primary after a switchover: by replay');
prove_standby($standby, $primary, 'an old primary after a switchover', no_manifest => 1, slot => 'old');
$primary->promote;
is($primary->safe_psql('postgres', 'SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)'), '00000003',
	'it can lead again');
# From before it was stopped, and of the time when the other one led.
is($primary->safe_psql('postgres', "SELECT string_agg(concat_ws(' ', method, bytes_kept), ', ' ORDER BY id) FROM clone_history"),
	'full 0, replay 0, replay 0, replay 0, replay 0', 'the history says how each was made');

done_testing();
