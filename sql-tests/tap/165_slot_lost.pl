# The donor writes more WAL than max_slot_wal_keep_size lets the clone's slot hold: the clone ends with just that
# reason, leaves nothing on the donor, and the next run goes on with what was copied.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary(initdb => ['--wal-segsize=1'], conf => <<CONF);
max_slot_wal_keep_size = 3MB
min_wal_size = 2MB
max_wal_size = 4MB
wal_keep_size = 0
CONF
fill_primary($primary);

sub write_wal
{
	$primary->safe_psql('postgres', 'SELECT pg_logical_emit_message(false, $$x$$, repeat($$x$$, 1000000)), pg_switch_wal()')
	  for 1 .. 8;
	$primary->safe_psql('postgres', 'CHECKPOINT');
}

# A new slot holds WAL from the last checkpoint on.
$primary->safe_psql('postgres', 'CHECKPOINT');

# A helper that writes no WAL down (--wal-method=none) asks for all of it later: its slot stays where it began.
my $place = new_place();
my $run = start_clone($primary, $place, '-N', '-r', '4M', '-X', 'none');
wait_for_copying($primary, $run, 6 * 1024 * 1024);
write_wal();
clone_fails($run, 'donor', qr/slot was invalidated: it held more WAL than max_slot_wal_keep_size allows/, 'slot lost');
is(scalar(() = $run->err =~ /error: /g), 1, 'slot lost: one error');
is_clean_on($primary, 'slot lost');
is_not_startable($place->data_dir, 'slot lost');
like($primary->safe_psql('postgres', 'SELECT state, error FROM clone_status() LIMIT 1'),
	qr/^failed\|.*max_slot_wal_keep_size/, 'slot lost: the donor says why');
$primary->append_conf('postgresql.conf', "max_slot_wal_keep_size = -1\n");
$primary->reload;
exit_is($run = run_clone($primary, $place, '-N'), 'completed', 'run again');
like($run->err, qr/going on with the unfinished clone in .*is compared/, 'run again: it goes on');
prove_standby($primary, $place, 'run again');
$place->stop;

# WAL that is received and on disk is not held: the same writes do no harm.
$primary->append_conf('postgresql.conf', "max_slot_wal_keep_size = 3MB\n");
$primary->reload;
$place = new_place('received');
$run = start_clone($primary, $place, '--name', 'received', '-r', '4M');
wait_for_copying($primary, $run, 6 * 1024 * 1024);
$primary->safe_psql('postgres', 'SELECT pg_logical_emit_message(false, $$x$$, repeat($$x$$, 1000000))');
exit_is($run, 'completed', 'received');

done_testing();
