# The WAL connection breaks while the donor writes: it goes on where it was, in the middle of a segment. The donor
# is told which WAL sender is the clone's now, and ends that one with a clone that fails.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary(conf => "pg_standby_clone.reconnect_timeout = '60s'\n");
fill_primary($primary);
my $place = new_place();

my $write = 'INSERT INTO plain SELECT (SELECT max(id) FROM plain) + n, repeat(md5(n::text), 3) FROM generate_series(1, 3000) n';
sub wal_sender { $primary->safe_psql('postgres', q(SELECT pid FROM pg_stat_replication)) }

# Kills it; returns the new one's process.
sub break_wal
{
	my ($run) = @_;
	my $before = wait_until('a WAL sender is there', sub { wal_sender() });
	$primary->safe_psql('postgres', "SELECT pg_terminate_backend($before)");
	$primary->safe_psql('postgres', $write);
	return wait_until('another WAL sender is there', sub {
		die "the clone ended early: " . $run->err if !$run->is_running;
		my $now = wal_sender();
		return $now =~ /^\d+$/ && $now ne $before && $now });
}

my $run = start_clone($primary, $place, '-N', '-r', '3M', '-j', '2');
wait_for_copying($primary, $run);
break_wal($run) for 1 .. 3;
exit_is($run, 'completed', 'under writes');
like($run->err, qr/lost a connection to the donor \(WAL\)/, 'it is said');
prove_standby($primary, $place, 'under writes');
$place->stop;

$run = start_clone($primary, new_place('other'), '--name', 'other', '-N', '-r', '2M', '-j', '1');
wait_for_copying($primary, $run);
my $now = break_wal($run);
# The donor hears of it by the next heartbeat: that much data lasts two of them.
my $done = $primary->safe_psql('postgres', 'SELECT bytes_done FROM clone_progress');
wait_until('some more is copied', sub {
	$primary->safe_psql('postgres', 'SELECT bytes_done FROM clone_progress') > $done + 5_000_000 });
$run->signal('STOP');
$primary->append_conf('postgresql.conf', "pg_standby_clone.reconnect_timeout = '1s'\n");
$primary->reload;
ok(wait_until('it ends', sub {
	$primary->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE pid = $now") eq '0' }, 20),
	'the lease over: the WAL sender of now is ended by the donor');
is_clean_on($primary, 'the lease over', 'clone');
$run->signal('CONT');
ok(wait_until('the helper hears of it', sub { $run->err =~ /the donor has given the clone up: .*; going on with another session/ }, 30),
	'the lease over: the helper goes on');
$run->signal('TERM');
exit_is($run, 'cancelled', 'the lease over: ended');

done_testing();
