# A cluster of which some relations are encrypted (pg_tde): checksums of their pages lie within what is
# encrypted, so nobody outside can verify them, and a clone does not call them corrupted; databases without keys are
# verified as ever. With encrypted WAL it is refused before anything is copied. A stand-in plays pg_tde: its directory,
# its library's name, pages whose checksum is wrong (trap 93).
use strict;
use warnings;
use File::Copy;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my ($libraries) = run_command([ 'pg_config', '--pkglibdir' ]);
my $own = scratch('libraries');
copy("$libraries/pgoutput.so", "$own/pg_tde.so") or die "pg_tde.so: $!";

my $primary = new_primary(conf => "dynamic_library_path = '$own:\$libdir'\nshared_preload_libraries = 'pg_tde'\n");
fill_primary($primary);
$primary->safe_psql('postgres', 'CREATE DATABASE other TEMPLATE template0');
$primary->safe_psql('other', 'CREATE TABLE plain AS SELECT n FROM generate_series(1, 5000) n');
my $encrypted = $primary->safe_psql('postgres', "SELECT pg_relation_filepath('plain')");
my $plain = $primary->safe_psql('other', "SELECT pg_relation_filepath('plain')");
my $database = $primary->safe_psql('postgres', "SELECT oid FROM pg_database WHERE datname = 'postgres'");

sub spoil
{
	my ($path) = @_;
	open my $file, '+<:raw', $primary->data_dir . "/$path" or die "$path: $!";
	seek $file, 3 * 8192 + 4000, 0;
	print $file 'broken';
	close $file or die "$path: $!";
	return;
}
my $tde = $primary->data_dir . '/pg_tde';
$primary->stop;
spoil($encrypted);
mkdir $tde or die "$tde: $!";
append_to_file("$tde/${database}_keys", 'keys');
$primary->start;

my $standby = new_place();
my $run = run_clone($primary, $standby, '-N', '--no-slot');
exit_is($run, 'completed', 'encrypted relations');
like($run->err, qr/pg_tde.*cannot be verified/, 'encrypted relations: it says what is not verified');
is(content_of($standby->data_dir . "/pg_tde/${database}_keys"), 'keys', 'encrypted relations: the keys travel along');
ok(start_server_in($standby), 'encrypted relations: the standby starts');
is($standby->safe_psql('other', 'SELECT count(*) FROM plain'), '5000', 'encrypted relations: and serves');
$standby->stop;

# Where no key file is known, none can say which database has encrypted relations.
rename "$tde/${database}_keys", "$tde/unknown" or die "$tde: $!";
exit_is(run_clone($primary, new_place('second'), '-N', '--no-slot'), 'completed', 'keys kept in another way');
rename "$tde/unknown", "$tde/${database}_keys" or die "$tde: $!";

$primary->stop;
spoil($plain);
$primary->start;
clone_fails(run_clone($primary, new_place('third'), '-N', '--no-slot'), 'corrupted', qr/\Q$plain\E/, 'a database without keys');

$primary->append_conf('postgresql.conf', "pg_tde.wal_encrypt = on\n");
$primary->restart;
my $refused = scratch('refused') . '/standby';
clone_fails(run_clone($primary, $refused, '-N', '--no-slot'), 'preflight', qr/pg_tde\.wal_encrypt.*pg_tde_basebackup/s, 'encrypted WAL');
ok(!-e $refused, 'encrypted WAL: nothing was copied');

done_testing();
