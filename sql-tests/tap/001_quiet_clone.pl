# A quiet primary: the clone is complete, verified, streaming from its slot, and the donor
# remembers it.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary();
fill_primary($primary);
my $standby = new_place();

# The options of the guide's pg_basebackup command are taken as they are; synced to disk.
my $run = run_clone($primary, $standby, '-R', '-P', '-F', 'p', '-X', 'stream', '-v');
exit_is($run, 'completed', 'quiet clone');
like($run->err, qr/is complete: .* in .* s/, 'the closing line has size and time');
like($run->err, qr/start it with: pg_ctl -D \Q@{[$standby->data_dir]}\E start/,
	'the closing line says how to start it');
is($run->out, '', 'standard output is left alone');

is($primary->safe_psql('postgres', 'SELECT state, phase, target, slot_name, error FROM clone_status()'),
	'completed|finishing|clone|clone|', 'clone_status() remembers it');
is($primary->safe_psql('postgres',
		'SELECT bytes_done >= bytes_total, files_done = files_total, stop_lsn > start_lsn, timeline, '
	  . 'checksum_failures, finished_at >= started_at FROM clone_status()'),
	't|t|t|1|0|t', 'with its counters');
is($primary->safe_psql('postgres',
		"SELECT string_agg(phase, ' ' ORDER BY started_at, phase = 'finishing') FROM clone_phases"),
	'preparing checkpoint copying wal syncing finishing', 'with its phases');
is($primary->safe_psql('postgres', 'SELECT count(*) FROM clone_progress'), '0', 'none is under way');
is_clean_on($primary, 'quiet clone', 'clone');

ok(-f $standby->data_dir . '/standby.signal', 'standby.signal is there');
my $settings = content_of($standby->data_dir . '/postgresql.auto.conf');
like($settings, qr/^primary_conninfo = '.*application_name=(?:'')?clone\b/m, 'primary_conninfo has the name');
like($settings, qr/^primary_slot_name = 'clone'/m, 'primary_slot_name is set');
prove_standby($primary, $standby, 'quiet clone');

# What is written afterwards arrives.
$primary->safe_psql('postgres', 'INSERT INTO plain SELECT -n, n FROM generate_series(1, 1000) n');
catch_up($primary, $standby);
same_content($primary, $standby, 'afterwards');

# A second clone of the same name is refused while the first standby uses the slot.
my $second = new_place('second');
clone_fails(run_clone($primary, $second), 'preflight', qr/slot "clone" is active/,
	'name of a running standby');
ok(!-e $second->data_dir, 'its directory is gone again');

# With another name both live side by side; old settings are replaced, not piled up.
exit_is(run_clone($standby, $second, '--name', 'Second-Standby.1', '-N', '-j', '1'), 'completed',
	'clone of the clone');
$settings = content_of($second->data_dir . '/postgresql.auto.conf');
is(scalar(() = $settings =~ /^primary_conninfo/mg), 1, 'one primary_conninfo');
like($settings, qr/^primary_slot_name = 'second_standby_1'/m, 'the name becomes a slot name');
prove_standby($standby, $second, 'clone of the clone', slot => 'second_standby_1');

done_testing();
