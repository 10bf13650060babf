# The donor gives up in mid-copy: its clone worker is terminated, or the server crashes and does not come
# back in time. Each time one clear message, nothing startable, nothing left. (Connections that
# end are made again: see 100 to 103.)
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary();
fill_primary($primary);
my $place = new_place();

my $run = start_clone($primary, $place, '-N', '-r', '2M', '-j', '2');
wait_for_copying($primary, $run);
my $pid = $primary->safe_psql('postgres',
	"SELECT pid FROM pg_stat_activity WHERE backend_type = 'standby clone worker'");
like($pid, qr/^\d+$/, 'the clone worker is there');
is($primary->safe_psql('postgres', "SELECT pg_terminate_backend($pid)"), 't', 'and is terminated');
clone_fails($run, 'donor', qr/clone worker was terminated/, 'no worker');
is(scalar(() = $run->err =~ /error: /g), 1, 'no worker: one error');
is_not_startable($place->data_dir, 'no worker');
is_clean_on($primary, 'no worker');
is($primary->safe_psql('postgres', 'SELECT state, error FROM clone_status() LIMIT 1'),
	'failed|the clone worker was terminated', 'no worker: the donor remembers why');

# The same while the helper is away: it comes back to a clone that has failed.
$run = start_clone($primary, $place, '-N', '-r', '2M', '-j', '2');
wait_for_copying($primary, $run);
$run->signal('STOP');
$primary->safe_psql('postgres',
	"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'standby clone worker'
	  OR (application_name = 'pg_standby_clone' AND pid <> pg_backend_pid())");
is_clean_on($primary, 'no worker, helper away');
$run->signal('CONT');
clone_fails($run, 'donor', qr/(?:the clone has ended|the donor ended the clone): the clone worker was terminated/, 'no worker, helper away');

# A crash of the server, which is not up again in time; then it is, and clones.
$run = start_clone($primary, $place, '--name', 'crash', '-N', '-r', '2M', '--reconnect-timeout', '2');
wait_for_copying($primary, $run);
$primary->stop('immediate');
clone_fails($run, 'lost', qr/error: could not reach the donor again within 2 s: /, 'crash');
cmp_ok(scalar(my @lines = split /\n/, $run->err), '<', 12, 'crash: no chatter') or diag($run->err);
is_not_startable($place->data_dir, 'crash');
$primary->start;
is_clean_on($primary, 'crash');
exit_is(run_clone($primary, $place, '--name', 'crash', '-N'), 'completed', 'after the crash');
prove_standby($primary, $place, 'after the crash', slot => 'crash');

# With no time to reconnect a broken connection is the end, at once.
$run = start_clone($primary, new_place('other'), '--name', 'other', '-N', '-r', '2M', '--reconnect-timeout', '0');
wait_for_copying($primary, $run);
# One that has nothing under way: a backend whose socket is full ends without a word.
wait_until('a stream waits for the rate', sub {
	$primary->safe_psql('postgres',
		q(SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM clone_streams WHERE waiting_for = 'rate' LIMIT 1) s)) });
clone_fails($run, 'lost', qr/error: terminating connection/, 'no patience');
is_clean_on($primary, 'no patience', 'crash');

done_testing();
