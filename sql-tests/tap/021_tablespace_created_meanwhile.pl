# CREATE TABLESPACE in mid-copy: replay will make it at the donor's own path, so the helper warns
# before anybody starts the standby (trap 34).
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary();
fill_primary($primary, rows => 1000);
my $late = scratch('late');
my $place = new_place();
my $run = start_clone($primary, $place, '-N', '-r', '12M');
wait_for_copying($primary, $run);
$primary->safe_psql('postgres', "CREATE TABLESPACE late LOCATION '$late'");
is(phase_of($primary), 'copying', 'the tablespace came while files were copied');
exit_is($run, 'completed', 'new tablespace');
like($run->err, qr/warning: .*\Q$late\E/s, 'a warning names its directory');

done_testing();
