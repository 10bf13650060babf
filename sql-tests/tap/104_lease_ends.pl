# The network stays away for longer than the donor's lease: on the donor the backup is aborted, the slot dropped, the
# clone failed, the log says so. The helper says what happened, whether it is back by then or not.
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
wait_for_copying($primary, $run);
$network->cut;
is_clean_on($primary, 'too late');
$network->mend;
clone_fails($run, 'lease', qr/the donor has given the clone up/, 'too late');
like($run->err, qr/hint: Run the clone again/, 'too late: says how to go on');
is_not_startable($place->data_dir, 'too late');

# A frozen helper, whose connections look alive.
$run = start_clone($primary, new_place('frozen'), '--name', 'frozen', '-N', '-r', '3M');
wait_for_copying($primary, $run);
$run->signal('STOP');
is_clean_on($primary, 'frozen');
$run->signal('CONT');
clone_fails($run, 'lease', qr/the donor has given the clone up/, 'frozen');

done_testing();
