# A run with --delta that is killed, again and again, at moments of chance: each time no server
# starts in the directory, and in the end it is current. Before the first change it is what it was.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use StandbyClone;

my $primary = new_primary(conf => "pg_standby_clone.reconnect_timeout = '1s'\n");
fill_primary($primary, rows => 60000);
my $standby = new_place();
exit_is(run_clone($primary, $standby, '-N'), 'completed', 'the first clone');
start_server_in($standby);
catch_up($primary, $standby);
$standby->promote;
$standby->safe_psql('postgres', "UPDATE plain SET text = 'local' || id; CREATE TABLE of_its_own AS SELECT 1");
$standby->stop('immediate');
$primary->safe_psql('postgres', "UPDATE plain SET text = 'new' || id WHERE id % 3 = 0; UPDATE toasted SET text = text || 'x'");
my $data = $standby->data_dir;

# While the donor makes its checkpoint the directory is what it was: it is changed when the list is there.
my $run = start_clone($primary, $standby, '--delta', '-N', '-c', 'spread');
wait_until('the checkpoint is waited for', sub { phase_of($primary) eq 'checkpoint' });
$run->signal('KILL');
$run->finish;
ok(-e "$data/global/pg_control" && !-e "$data/pg_standby_clone.journal" && !-e "$data/postmaster.pid",
	'killed in the checkpoint: nothing was changed');

my $kills = 0;
for my $round (1 .. 6)
{
	is_clean_on($primary, "round $round", 'clone');
	my $run = start_clone($primary, $standby, '-N', '-j', '2', '-r', '8M', ($round % 2 ? '--delta' : ()));
	wait_until('it works', sub { !$run->is_running || phase_of($primary) =~ /copying|wal|syncing|finishing/ });
	usleep(int(rand(400_000)));
	if ($run->is_running)
	{
		$run->signal('KILL');
		$kills++ if $run->finish eq 'signal 9';
	}
	is_not_startable($data, "killed in round $round") if -e "$data/pg_standby_clone.journal";
}
cmp_ok($kills, '>', 0, 'some runs were killed');
is_clean_on($primary, 'all rounds', 'clone');
$primary->safe_psql('postgres', "UPDATE plain SET text = 'newer' || id WHERE id % 7 = 0");
exit_is(run_clone($primary, $standby, '-N', (-e "$data/pg_standby_clone.journal" ? () : '--delta')), 'completed', 'in the end');
prove_standby($primary, $standby, 'in the end');
is($standby->safe_psql('postgres', q(SELECT count(*) FROM pg_class WHERE relname = 'of_its_own')), '0', 'nothing local is left');
$standby->stop;

done_testing();
