# Tablespaces and the WAL directory stay where they are, unless the options say otherwise; and
# so it is for an unfinished clone.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary();
my %home = map { $_ => scratch("home_$_") } qw(one two three);
fill_primary($primary, rows => 3000);
$primary->safe_psql('postgres', "CREATE TABLESPACE $_ LOCATION '$home{$_}'") for qw(one two);
$primary->safe_psql('postgres', "CREATE TABLE in_$_ TABLESPACE $_ AS SELECT generate_series(1, 30000) n") for qw(one two);

my $standby = new_place();
my %here = map { $_ => scratch('here') . "/$_" } qw(one two three);
my $wal = scratch('here') . '/wal';
my @mapping = map { ('-T', "$home{$_}=$here{$_}") } qw(one two);

# Killed in the middle; the command that goes on need not say it again.
my $run = start_clone($primary, $standby, '-N', '-r', '3M', @mapping, '--waldir', $wal);
wait_for_copying($primary, $run);
$run->signal('TERM');
exit_is($run, 'cancelled', 'unfinished');
like($run->err, qr/or remove these directories:.*\Q$here{one}\E/s, 'unfinished: names all directories');
exit_is(run_clone($primary, $standby, '-N', '-r', '100M'), 'completed', 'gone on with');
is(readlink($standby->data_dir . '/pg_wal'), $wal, 'gone on with: the WAL directory');
prove_standby($primary, $standby, 'gone on with');
$standby->stop;

# A tablespace more, one less, one that goes elsewhere; the WAL stays.
my ($oid_one, $oid_two) = map { $primary->safe_psql('postgres', "SELECT oid FROM pg_tablespace WHERE spcname = '$_'") } qw(one two);
$primary->safe_psql('postgres', q(SELECT pg_drop_replication_slot('clone')));
$primary->safe_psql('postgres', 'DROP TABLE in_two');
$primary->safe_psql('postgres', 'DROP TABLESPACE two');
$primary->safe_psql('postgres', "CREATE TABLESPACE three LOCATION '$home{three}'");
$primary->safe_psql('postgres', 'CREATE TABLE in_three TABLESPACE three AS SELECT generate_series(1, 30000) n');
$primary->safe_psql('postgres', 'UPDATE in_one SET n = -n WHERE n % 100 = 0');
$run = run_clone($primary, $standby, '--delta', '-N', '-T', "$home{three}=$here{three}");
exit_is($run, 'completed', 'delta');
is(readlink($standby->data_dir . "/pg_tblspc/$oid_one"), $here{one}, 'delta: a tablespace stays where it was');
is(readlink($standby->data_dir . '/pg_wal'), $wal, 'delta: so does the WAL');
ok(!-l $standby->data_dir . "/pg_tblspc/$oid_two", 'delta: the link of a dropped one is gone');
like($run->err, qr/"\Q$here{two}\E" is not used any more/, 'delta: and its directory is named');
prove_standby($primary, $standby, 'delta');
$standby->stop;

# Moved by the options: the old places are left alone.
$primary->safe_psql('postgres', q(SELECT pg_drop_replication_slot('clone')));
my ($moved, $moved_wal) = (scratch('moved') . '/one', scratch('moved') . '/wal');
exit_is(run_clone($primary, $standby, '--delta', '-N', '-T', "$home{one}=$moved", '--waldir', $moved_wal),
	'completed', 'moved');
is(readlink($standby->data_dir . "/pg_tblspc/$oid_one"), $moved, 'moved: the tablespace');
is(readlink($standby->data_dir . '/pg_wal'), $moved_wal, 'moved: the WAL');
prove_standby($primary, $standby, 'moved');
$standby->stop;

done_testing();
