# Hazard: a clone that takes what others need. With --gentle it steps back while another standby falls
# behind, says so, and picks up again; a connection that is refused does not end it.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary(conf => "wal_sender_timeout = 0\nmax_connections = 40\n");
fill_primary($primary);
sub value { return $primary->safe_psql('postgres', $_[0]) }

my $other = new_place('other');
exit_is(run_clone($primary, $other, '-N', '--name', 'other'), 'completed', 'the other standby');
start_server_in($other);
wait_for_streaming($primary, 'other');

my $standby = new_place('standby');
my $run = start_clone($primary, $standby, '-N', '--gentle', '-r', '2M', '-j', '2');
wait_for_copying($primary, $run);
is(value("SELECT count(*) FROM clone_streams WHERE waiting_for = 'gentle'"), '0', 'at first nothing holds it up');

# The other standby receives nothing for a while.
my $receiver = $other->safe_psql('postgres', 'SELECT pid FROM pg_stat_wal_receiver');
kill 'STOP', $receiver or die "kill: $!";
value('CREATE TABLE much AS SELECT repeat(md5(n::text), 30) AS text FROM generate_series(1, 60000) n');
ok(wait_until('it steps back', sub { value("SELECT count(*) FROM clone_streams WHERE waiting_for = 'gentle'") > 0 }),
	'it waits while another standby falls behind');
ok($run->is_running, 'the clone goes on');
kill 'CONT', $receiver;
catch_up($primary, $other);
my $log = sub { return content_of($primary->logfile) };
ok(wait_until('it picks up again', sub { $log->() =~ /the clone runs at full speed again/ || !$run->is_running }),
	'it picks up again');
like($log->(), qr/the clone slows down: a standby falls behind/, 'the log says why it was slow');
like($log->(), qr/the clone runs at full speed again/, 'the log says that it is over');
exit_is($run, 'completed', 'the clone');
prove_standby($primary, $standby, 'the clone');
$standby->stop;

# Streams are added to a copy that gets faster by it. The donor's last connections are not taken,
# and one that is refused ends the growth alone.
# Control, perhaps WAL (not every version counts it), and one stream or two of four.
value('CREATE ROLE narrow LOGIN REPLICATION CONNECTION LIMIT 3');
my $narrow = new_place('narrow');
$run = run_clone($primary, $narrow, '-N', '-v', '-r', '20M', '-U', 'narrow', '--name', 'narrow');
exit_is($run, 'completed', 'with fewer connections than streams');
like($run->err, qr/stream \d was refused, the others go on: .*too many connections for role/, 'and says so');
done_testing();
