# A page whose checksum is wrong: file and block are named, the exit code says it, nothing startable is
# left; with --no-verify-checksums it goes through, as people who must save what is left need
# (traps 55 to 59).
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary();
fill_primary($primary);
my $path = $primary->safe_psql('postgres', "SELECT pg_relation_filepath('plain')");
$primary->stop;
for my $block (3, 7)
{
	open my $file, '+<:raw', $primary->data_dir . "/$path" or die;
	seek $file, $block * 8192 + 4000, 0;
	print $file 'broken';
	close $file;
}
$primary->start;

my $standby = new_place();
my $run = run_clone($primary, $standby, '-N');
clone_fails($run, 'corrupted', qr/\Q$path\E/, 'corrupted');
like($run->err, qr/block 3\b/, 'corrupted: the first block is named');
is_not_startable($standby->data_dir, 'corrupted');
is_clean_on($primary, 'corrupted');
is($primary->safe_psql('postgres', 'SELECT state, checksum_failures FROM clone_status()'), 'failed|2',
	'corrupted: the donor counts and remembers it');
like($primary->safe_psql('postgres', 'SELECT error FROM clone_status()'), qr/checksum/,
	'corrupted: with the reason');
like(content_of($primary->logfile), qr/\Q$path\E/, "corrupted: the donor's log names the file");

exit_is(run_clone($primary, $standby, '-N', '--no-verify-checksums'), 'completed', 'not verified');
ok(start_server_in($standby), 'not verified: the standby starts');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM toasted'), '200', 'not verified: and serves');

$standby->stop;

sub write_bytes
{
	my ($path, $bytes) = @_;
	open my $file, '>:raw', $path or die "$path: $!";
	print $file $bytes;
	close $file or die "$path: $!";
}

# A relation map that no server could use (trap 24) ends a clone, too. That of a database which nobody uses.
$primary->safe_psql('postgres', 'CREATE DATABASE unused');
my $map_path = 'base/' . $primary->safe_psql('postgres', "SELECT oid FROM pg_database WHERE datname = 'unused'")
	. '/pg_filenode.map';
my $map = $primary->data_dir . "/$map_path";
my $whole_map = content_of($map);
substr(my $broken_map = $whole_map, 8, 1) ^= "\x01";
write_bytes($map, $broken_map);
my $third = new_place('third');
clone_fails(run_clone($primary, $third, '-N', '--no-verify-checksums'), 'corrupted',
	qr/\Q$map_path\E/, 'relation map');
is_not_startable($third->data_dir, 'relation map');
write_bytes($map, $whole_map);

# A cluster without checksums has none to be wrong.
my $careless = new_primary(name => 'careless', checksums => 0,
	initdb => [ major_of($primary) >= 18 ? '--no-data-checksums' : () ]);
fill_primary($careless, rows => 1000);
my $second = new_place('second');
exit_is(run_clone($careless, $second, '-N'), 'completed', 'without checksums');
prove_standby($careless, $second, 'without checksums');

done_testing();
