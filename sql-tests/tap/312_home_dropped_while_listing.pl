# The donor is a standby, and the helper is frozen (SIGSTOP) with a list that no socket holds: replay of what needs the
# donor's processes gone is not held up, up to the drop of the very database that they are connected to (traps 73 and 74; from
# PostgreSQL 16 on such a process is told so by no SIGTERM).
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;
use Wire;

my $primary = new_primary();
$primary->safe_psql('postgres', 'CREATE ROLE replicator LOGIN REPLICATION; CREATE DATABASE home');
$primary->safe_psql('home', 'CREATE EXTENSION pg_standby_clone');
my $donor = new_place('donor');
exit_is(run_clone($primary, $donor, '-N', '--name', 'donor'), 'completed', 'the donor');
start_server_in($donor);
catch_up($primary, $donor);
my $extra = $donor->data_dir . '/extra';
mkdir $extra or die "$extra: $!";
append_to_file("$extra/" . $_ . 'x' x 200, '') for 1 .. 8000;

my $control = Wire->begun($donor, target => 'frozen', database => 'home');
$control->request(Wire::plain('list'));
wait_until('the list is stuck', sub {
	$donor->safe_psql('home', "SELECT count(*) FROM pg_stat_activity WHERE pid = @{[$control->pid]} AND wait_event IN ('Extension', 'StandbyCloneStream')") eq '1' });
$primary->safe_psql('postgres', 'DROP DATABASE home');
within(8, 'replay of the drop', sub { catch_up($primary, $donor) });
wait_until('nobody is left', sub {
	$donor->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'wire' OR backend_type = 'standby clone worker'") eq '0' });
within(10, 'fast shutdown', sub { $donor->stop('fast') });
$control->close;
unlike(content_of($donor->logfile), qr/terminated by signal|PANIC|XX000|TRAP:/, 'no process crashed');

done_testing();
