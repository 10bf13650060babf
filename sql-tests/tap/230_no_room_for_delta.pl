# There is no room for what --delta would bring: found before anything is changed. A standby that was stopped is as
# it was; one that ran, and was stopped by its agent for this, runs again and streams.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use StandbyClone;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_primary();
fill_primary($primary);
my $standby = new_place('standby');
my @managed = ('--start', '--config-file', own_config($standby), '--allow-overwrite', '--manage-server');
my $agent = start_agent($primary, $standby, @managed);
state_is($primary, request($primary, 'clone'), 'completed', 'from nothing');
adopt($standby);

# A file that is large and takes no room: 8 TB of holes, more than is free anywhere here.
my $large = $primary->data_dir . '/base/large';
open my $file, '>', $large or die;
truncate $file, 8 * 2**40 or die;
close $file;

my $id = request($primary, 'clone', '{"delta": "compare"}');
state_is($primary, $id, 'failed', 'over a running standby');
like($primary->safe_psql('postgres', "SELECT error FROM clone_status($id)"), qr/the clone needs .* are free/,
	'over a running standby: says what is missing');
ok($standby->poll_query_until('postgres', 'SELECT count(*) = 1 FROM pg_stat_wal_receiver'),
	'over a running standby: it runs and streams again');
catch_up($primary, $standby);
same_content($primary, $standby, 'over a running standby');
ok(!-e in_place($standby) . '/pg_standby_clone.journal', 'over a running standby: is nobody\'s clone');
$agent->signal('TERM');
is($agent->finish, 0, 'the agent ends');

# Stopped, with things in it that would go.
$standby->stop;
$primary->safe_psql('postgres', q(SELECT pg_drop_replication_slot('clone')));
append_to_file(in_place($standby) . '/base/left_over', 'x' x 8192);
my $listing = sub {
	my ($out) = run_command([ 'sh', '-c', q(cd "$0" && find . -type f -print0 | sort -z | xargs -0 md5sum; find . -type l -o -type d | sort), in_place($standby) ]);
	return $out;
};
my $before = $listing->();
my $run = run_clone($primary, $standby, '--delta=compare');
clone_fails($run, 'disk', qr/the clone needs .* on the file system of .*, .* are free/, 'over a stopped standby');
like($run->err, qr/was changed/, 'over a stopped standby: says that nothing was changed');
is($listing->(), $before, 'over a stopped standby: it is as it was');
is_clean_on($primary, 'over a stopped standby', 'clone');

# With room it goes on.
unlink $large;
exit_is(run_clone($primary, $standby, '--delta=compare'), 'completed', 'with room');
ok(!-e in_place($standby) . '/base/left_over', 'with room: what is left over goes');
done_testing();
