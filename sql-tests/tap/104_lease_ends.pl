# The network stays away for longer than the donor's lease: on the donor the backup is aborted, the slot dropped, the
# clone failed, the log says so. The helper says what happened; back by then or later, it goes on in another session.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use StandbyClone;
use StandbyProxy;

my $primary = new_primary(conf => "pg_standby_clone.reconnect_timeout = '3s'\n");
fill_primary($primary);
my $network = StandbyProxy->new($primary);
# More than the streams have under way: then some chunks are whole, and there is something to go on with.
my $some_chunks = 4 * 1024 * 1024;

# Not back in time: by default the helper tries as long as the lease is.
my $place = new_place();
my $run = start_clone(undef, $place, $network->options, '-N', '-r', '3M', '-j', '2');
wait_for_copying($primary, $run);
my $from = -s $primary->logfile;
$network->cut;
my $since = time();
is_clean_on($primary, 'cut');
is($primary->safe_psql('postgres', 'SELECT state, error FROM clone_status() LIMIT 1'),
	'failed|the helper has been silent for longer than pg_standby_clone.reconnect_timeout',
	'cut: the donor says why the clone failed');
my $log = slurp_file($primary->logfile, $from);
like($log, qr/pg_standby_clone: clone 1 to "clone" has lost its helper and waits for it/, 'cut: logged');
like($log, qr/pg_standby_clone: clone 1 to "clone" failed: the helper has been silent/, 'cut: the end is logged');
clone_fails($run, 'lost', qr/could not reach the donor again within 3 s: /, 'cut');
cmp_ok(time() - $since, '<', 15, 'cut: it does not try for ever');
is_not_startable($place->data_dir, 'cut');

# Back, but too late.
$network->mend;
$place = new_place('late');
$run = start_clone(undef, $place, $network->options, '--name', 'late', '-N', '-r', '3M', '-j', '2',
	'--reconnect-timeout', '1min');
wait_for_copying($primary, $run, $some_chunks);
$network->cut;
is_clean_on($primary, 'too late');
$network->mend;
sub goes_on
{
	my ($run, $place, $name, $what) = @_;
	wait_until("$what: another session", sub { $run->err =~ /the donor has given the clone up: .*; going on with another session/ });
	wait_until("$what: it copies again", sub {
		$primary->safe_psql('postgres', q(SELECT count(*) FROM clone_progress WHERE phase = 'copying')) });
	is_not_startable($place->data_dir, $what);
	$primary->safe_psql('postgres', 'SELECT set_clone_rate(id, NULL) FROM clone_progress');
	exit_is($run, 'completed', $what);
	like($run->err, qr/going on with the unfinished clone in .*is compared/, "$what: by comparison");
	prove_standby($primary, $place, $what, slot => $name);
	$place->stop;
}
goes_on($run, $place, 'late', 'too late');

# A frozen helper, whose connections look alive.
$place = new_place('frozen');
$run = start_clone($primary, $place, '--name', 'frozen', '-N', '-r', '3M', '-j', '2');
wait_for_copying($primary, $run, $some_chunks);
$run->signal('STOP');
is_clean_on($primary, 'frozen', 'late');
$run->signal('CONT');
goes_on($run, $place, 'frozen', 'frozen');

done_testing();
