# --start: the clone is completed only when its server streams; and when the server does not start,
# the standby and its slot are as good as without --start.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use StandbyClone;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_primary();
fill_primary($primary);

# Started with pg_ctl, with a configuration outside the data directory.
my $standby = new_place('standby');
my $run = run_clone($primary, $standby, '--start', '--config-file', own_config($standby), '--json');
exit_is($run, 'completed', 'started');
adopt($standby);
like($run->out, qr/"type":"result".*"streaming":true/, 'started: the result says that it streams');
is(status_of($primary, 'state, phase, error IS NULL OR error = $$$$'), 'completed|streaming|t',
	'started: the donor has it completed, streaming');
is($primary->safe_psql('postgres', q(SELECT string_agg(phase, ' ' ORDER BY started_at)
	FROM clone_phases WHERE phase IN ('finishing', 'starting', 'streaming'))),
	'finishing starting streaming', 'started: each phase was seen');
$primary->safe_psql('postgres', 'INSERT INTO plain SELECT n, $$later$$ FROM generate_series(100001, 100100) n');
prove_started($primary, $standby, 'started');
$standby->stop;
is($primary->safe_psql('postgres', q(SELECT pg_drop_replication_slot('clone'))), '', 'slot dropped');

# A role with nothing but REPLICATION cannot look into pg_stat_replication; and with hot_standby off
# no server ever says "ready".
my $cold = new_place('cold');
$primary->safe_psql('postgres', 'CREATE ROLE replicator LOGIN REPLICATION');
$run = run_clone($primary, $cold, '--start', '-U', 'replicator', '--config-file',
	own_config($cold, conf => "hot_standby = off\nwal_receiver_status_interval = 1\n"));
exit_is($run, 'completed', 'without hot standby, with an ordinary role');
adopt($cold);
is($primary->safe_psql('postgres', q(SELECT active FROM pg_replication_slots WHERE slot_name = 'clone')),
	't', 'without hot standby: its slot is used');
$cold->stop;
$primary->safe_psql('postgres', q(SELECT pg_drop_replication_slot('clone')));

# Without a slot the standby is known by its name.
my $slotless = new_place('slotless');
$run = run_clone($primary, $slotless, '--start', '--no-slot', '--config-file', own_config($slotless));
exit_is($run, 'completed', 'without a slot');
unlike($run->err, qr/cannot be seen/, 'without a slot: seen by its name');
adopt($slotless);
is($primary->safe_psql('postgres',
		q(SELECT state FROM pg_stat_replication WHERE application_name = 'clone')),
	'streaming', 'without a slot: it streams');
$slotless->stop;

# A server that does not start: one clear error, and a standby that only waits for the correction.
my $broken = new_place('broken');
my $rules = scratch('rules') . '/pg_hba.conf';
append_to_file($rules, "no such rule\n");
my $config = own_config($broken, conf => "hba_file = '$rules'\n");
$run = start_clone($primary, $broken, '--start', '--config-file', $config);
clone_fails($run, 'start', qr/error: the server in ".*" did not start: .*could not load .*pg_hba\.conf/, 'broken');
like($run->err, qr/The last lines of its log \(.*pg_standby_clone\.start\.log\):\n.*could not load/s,
	'broken: the log is shown');
like($run->err, qr/is complete, and slot "clone" holds its WAL; start it with: .*pg_ctl -D/,
	'broken: how to go on');
like(status_of($primary, 'state, phase, error'), qr/^failed\|starting\|.*could not load/,
	'broken: the donor knows');
is($primary->safe_psql('postgres', q(SELECT active, temporary FROM pg_replication_slots)), 'f|f',
	'broken: the slot, and no other, stays');
ok(-e $broken->data_dir . '/standby.signal', 'broken: the directory stays');
command_ok([ 'pg_verifybackup', '--ignore=pg_standby_clone.start.log', '--ignore=postmaster.opts', $broken->data_dir ],
	'broken: the directory is the backup it was');
$primary->safe_psql('postgres', 'CHECKPOINT; SELECT pg_switch_wal(); CHECKPOINT');
unlink $rules;
append_to_file($rules, "local all,replication all trust\n");
system_or_bail('pg_ctl', '-D', $broken->data_dir, '-w', '-l', $broken->logfile, '-o',
	"-c config_file=$config", 'start');
adopt($broken);
wait_for_streaming($primary, 'clone');
prove_started($primary, $broken, 'broken, then corrected');
$broken->stop;
$primary->stop;
done_testing();
