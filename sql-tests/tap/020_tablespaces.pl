# Tablespaces: mapped with -T, a wrong OLDDIR named before anything is copied, one in place, one
# without a mapping on the donor's own host (traps 33, 35 and 37).
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary(conf => "allow_in_place_tablespaces = on\n");
fill_primary($primary, rows => 2000);
my ($far, $odd) = (scratch('far'), scratch('a =b'));
$primary->safe_psql('postgres', "CREATE TABLESPACE far LOCATION '$far'");
$primary->safe_psql('postgres', "CREATE TABLESPACE odd LOCATION '$odd'");
$primary->safe_psql('postgres', "CREATE TABLESPACE here LOCATION ''");
for my $space (qw(far odd here))
{
	$primary->safe_psql('postgres', "CREATE TABLE in_$space TABLESPACE $space AS "
		. 'SELECT n, md5(n::text) FROM generate_series(1, 5000) n');
}
$primary->safe_psql('postgres', 'CREATE DATABASE elsewhere TABLESPACE far');
# Other people's files beside our version's directory are none of ours.
append_to_file("$far/not-ours.txt", 'leave me');

my $place = new_place('wrong');
clone_fails(run_clone($primary, $place, '-T', '/no/such=/tmp/x', '-T', "$far=/tmp/y"), 'usage',
	qr{no tablespace in "/no/such".*\Q$far\E}s, 'wrong OLDDIR');
ok(!-e $place->data_dir, 'wrong OLDDIR: nothing is left');
is_clean_on($primary, 'wrong OLDDIR');

# Without a mapping the donor's own directory would be written to: on its host that is refused.
clone_fails(run_clone($primary, $place), 'target', qr/tablespace directory ".*" is not empty/,
	'no mapping on the same host');
ok(!-e $place->data_dir, 'no mapping: nothing is left');
is(content_of("$far/not-ours.txt"), 'leave me', 'no mapping: the donor is untouched');
is($primary->safe_psql('postgres', 'SELECT count(*) FROM in_far'), '5000', 'no mapping: and works');
is_clean_on($primary, 'no mapping');

my $standby = new_place('standby');
my ($to_far, $to_odd) = (scratch('new') . '/far', scratch('empty'));
(my $escaped = $odd) =~ s/=/\\=/g;
exit_is(run_clone($primary, $standby, '-N', '-T', "$far=$to_far", '-T', "$escaped=$to_odd"), 'completed',
	'mapped');
is_deeply([ sort map { readlink($_) // '' } grep { -l $_ } glob($standby->data_dir . '/pg_tblspc/*') ],
	[ sort $to_far, $to_odd ], 'mapped: the links lead to the new directories');
ok(!-e "$to_far/not-ours.txt", "mapped: other people's files are not copied");
ok(!-e $standby->data_dir . '/tablespace_map', 'mapped: no tablespace_map');
prove_standby($primary, $standby, 'mapped');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM in_here'), '5000', 'the one in place works');

# What a failed run has made is kept, and named: a tablespace that was made, and one in a directory
# that was there.
my $cancelled = new_place('cancelled');
my ($made, $kept) = (scratch('parent') . '/made', scratch('kept'));
my $run = start_clone($primary, $cancelled, '-N', '--name', 'other', '-r', '1M', '-T', "$far=$made",
	'-T', "$escaped=$kept");
wait_for_copying($primary, $run);
ok(-d $made, 'cancelled: the tablespace is being made');
$run->signal('TERM');
exit_is($run, 'cancelled', 'cancelled');
like($run->err, qr/remove these directories:.*\Q$made\E/s, 'cancelled: a directory that was made is named');
like($run->err, qr/remove these directories:.*\Q$kept\E/s, 'cancelled: so is one that was there');
is_clean_on($primary, 'cancelled', 'clone');

done_testing();
