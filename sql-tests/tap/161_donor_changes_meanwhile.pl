# What an administrator or an accident does to the donor in mid-clone: fewer connections than a clone needs, DROP
# EXTENSION, a backend killed outright. There is an end with a reason, or none at all; nothing
# stays behind, and the same command completes the clone.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Time::HiRes qw(time);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary(conf => "restart_after_crash = on\n");
fill_primary($primary, rows => 3000);
sub value { return $primary->safe_psql('postgres', $_[0]) }

# --- fewer connections than a clone needs ---------------------------------------------------
value('CREATE ROLE limited LOGIN REPLICATION CONNECTION LIMIT 1');
my $place = new_place('limited');
my $run = run_clone($primary, $place, '-N', '-U', 'limited', '-j', '4', '--reconnect-timeout', '3');
like($run->finish, qr/^[59]$/, 'one connection: refused') or diag($run->err);
like($run->err, qr/error: .*too many connections for role "limited"/, 'one connection: says so');
is_not_startable($place->data_dir, 'one connection');
is_clean_on($primary, 'one connection');
# Enough to begin, not enough for all streams: those that there are do the work, or it ends.
value('ALTER ROLE limited CONNECTION LIMIT 3');
$run = run_clone($primary, $place, '-N', '-U', 'limited', '-j', '4', '--no-slot', '--reconnect-timeout', '3');
like($run->finish, qr/^[059]$/, 'three connections for four streams: completed, or refused') or diag($run->err);
like($run->err, qr/too many connections for role "limited"/, 'three connections for four streams: says so');
is_clean_on($primary, 'three connections for four streams');
value('ALTER ROLE limited CONNECTION LIMIT -1');

# --- the extension goes ------------------------------------------------------------------
$place = new_place('dropped');
$run = start_clone($primary, $place, '-N', '-j', '2', '-r', '2M', '--no-slot');
wait_for_copying($primary, $run);
my $before = time();
value('DROP EXTENSION pg_standby_clone');
cmp_ok(time() - $before, '<', 10, 'DROP EXTENSION waits for no clone');
value('CREATE EXTENSION pg_standby_clone');
value('SELECT set_clone_rate(id, NULL) FROM clone_progress');
like($run->finish, qr/^(?:0|9|10)$/, 'DROP EXTENSION: the clone completes, or ends with a reason') or diag($run->err);
is_clean_on($primary, 'DROP EXTENSION');
is_not_startable($place->data_dir, 'DROP EXTENSION') if $run->finish ne '0';
exit_is(run_clone($primary, $place, '-N', '--no-slot'), 'completed', 'DROP EXTENSION, then the same command')
  if $run->finish ne '0';
command_ok([ 'pg_verifybackup', $place->data_dir ], 'DROP EXTENSION: pg_verifybackup is content');

# --- one backend is killed outright: the server restarts all of them ------------------------
$place = new_place('crashed');
$run = start_clone($primary, $place, '-N', '-r', '2M', '--reconnect-timeout', '0');
wait_for_copying($primary, $run);
my $victim = value('SELECT pid FROM clone_streams WHERE pid IS NOT NULL LIMIT 1');
kill 'KILL', $victim;
like($run->finish, qr/^(?:3|9)$/, 'SIGKILL of a backend: the donor is lost') or diag($run->err);
is_not_startable($place->data_dir, 'SIGKILL of a backend');
wait_until('the server is back', sub { ($primary->psql('postgres', 'SELECT 1'))[0] == 0 });
is_clean_on($primary, 'SIGKILL of a backend');
exit_is(run_clone($primary, $place, '-N'), 'completed', 'SIGKILL of a backend, then the same command');
prove_standby($primary, $place, 'SIGKILL of a backend, then the same command');

done_testing();
