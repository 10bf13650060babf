# Something on the donor ends in mid-copy: a stream's backend, the control connection, the clone
# worker, the WAL sender, the server itself. Each time one clear message, nothing startable, nothing left.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary();
fill_primary($primary);
my $place = new_place();

my %victims = (
	'a stream' => 'SELECT pid FROM clone_streams LIMIT 1',
	'the clone worker' => "SELECT pid FROM pg_stat_activity WHERE backend_type = 'standby clone worker'",
	'the WAL sender' => "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walsender'",
	'the control connection' => <<'SQL');
SELECT pid FROM pg_stat_activity WHERE application_name = 'pg_standby_clone'
 AND backend_type = 'client backend' AND pid NOT IN (SELECT pid FROM clone_streams)
SQL
my %says = (
	'a stream' => [ 'lost', qr/terminating connection/ ],
	'the clone worker' => [ 'donor', qr/the donor ended the clone: the clone worker was terminated/ ],
	'the WAL sender' => [ 'lost', qr/error: / ],
	'the control connection' => [ 'lost', qr/error: terminating connection/ ]);

$primary->append_conf('postgresql.conf', "pg_standby_clone.reconnect_timeout = '3s'\n");
$primary->reload;
for my $victim (sort keys %victims)
{
	my $run = start_clone($primary, $place, '-N', '-r', '2M', '-j', '2');
	wait_for_copying($primary, $run);
	my $pid = $primary->safe_psql('postgres', $victims{$victim});
	like($pid, qr/^\d+$/, "$victim: is there");
	is($primary->safe_psql('postgres', "SELECT pg_terminate_backend($pid)"), 't', "$victim: is terminated");
	my ($class, $message) = @{ $says{$victim} };
	clone_fails($run, $class, $message, $victim);
	is(scalar(() = $run->err =~ /error: /g), 1, "$victim: one error");
	is_not_startable($place->data_dir, $victim);
	is_clean_on($primary, $victim);
	like($primary->safe_psql('postgres', 'SELECT state, error <> $$$$ FROM clone_status() LIMIT 1'),
		qr/^failed\|t/, "$victim: the donor remembers why");
}

# A cancelled statement is a stream's end.
my $run = start_clone($primary, $place, '-N', '-r', '2M');
wait_for_copying($primary, $run);
$primary->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM clone_streams");
clone_fails($run, 'donor', qr/canceling statement/, 'cancelled statements');
is_clean_on($primary, 'cancelled statements');

# A crash of the server; then it is up again and clones.
$run = start_clone($primary, $place, '--name', 'crash', '-N', '-r', '2M');
wait_for_copying($primary, $run);
$primary->stop('immediate');
clone_fails($run, 'lost', qr/error: .*(server closed|terminating connection)/, 'crash');
is(scalar(my @lines = split /\n/, $run->err), 6, 'crash: no chatter') or diag($run->err);
is_not_startable($place->data_dir, 'crash');
$primary->start;
is_clean_on($primary, 'crash');
exit_is(run_clone($primary, $place, '--name', 'crash', '-N'), 'completed', 'after the crash');
prove_standby($primary, $place, 'after the crash', slot => 'crash');

done_testing();
