# A look at the host's own configuration that takes longer than the lease (a file on a disk that hangs): the lease of 5 s is
# kept, and who cancels the clone meanwhile is heard at once.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use File::Copy qw(copy);
use POSIX qw(mkfifo);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use StandbyClone;

my $primary = new_primary(conf => "pg_standby_clone.reconnect_timeout = '5s'\n");
fill_primary($primary, rows => 1000);
my $place = new_place();
exit_is(run_clone($primary, $place, '-N', '--no-slot'), 'completed', 'a clone');

# Opened by who looks for the files that it names; that waits until somebody writes.
my $rules = scratch('slow') . '/pg_hba.conf';
mkfifo($rules, 0600) or die "mkfifo: $!";
$place->append_conf('postgresql.conf', "hba_file = '$rules'\n");

sub looking
{
	my ($what) = @_;
	my $run = start_clone($primary, $place, '-N', '--no-slot', '--delta');
	wait_until("$what: longer than the lease", sub {
		die 'it ended early: ' . $run->err if !$run->is_running;
		$primary->safe_psql('postgres', q(SELECT count(*) FROM clone_status() WHERE state = 'running' AND now() - started_at > '6s')) eq '1' });
	is(status_of($primary, 'phase'), 'copying', "$what: it goes on");
	return $run;
}

my $run = looking('cancelled');
my $before = time();
is($primary->safe_psql('postgres', q(SELECT cancel_standby_clone(max(id)) FROM clone_status())), 't', 'cancelled');
exit_is($run, 'cancelled', 'cancelled');
cmp_ok(time() - $before, '<', 5, 'cancelled: at once, and some for a slow machine');
is_clean_on($primary, 'cancelled');

$run = looking('let go on');
open my $writer, '>', $rules or die "$rules: $!";
close $writer;
exit_is($run, 'completed', 'let go on');
is(status_of($primary, 'state'), 'completed', 'let go on: in the session that it began');

unlink $rules;
copy($primary->data_dir . '/pg_hba.conf', $rules) or die "$rules: $!";
prove_standby($primary, $place, 'let go on', slot => '');
$place->stop;
$primary->stop;
done_testing();
