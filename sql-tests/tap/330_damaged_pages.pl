# Pages that are damaged in ways a weaker rule lets pass (traps 55 to 59): a page that says it is new and has a
# body; one whose garbage looks like an LSN of the future, on a primary and on a standby. And many of them: told in five
# lines a file, counted in pg_stat_database, and found in seconds, not a wait for each.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary();
fill_primary($primary);
$primary->safe_psql('postgres', 'CREATE TABLE garbage AS SELECT n, repeat(md5(n::text), 30) FROM generate_series(1, 32000) n');
my %path = map { $_ => $primary->safe_psql('postgres', "SELECT pg_relation_filepath('$_')") } qw(plain garbage pg_shdescription);
my $standby = new_place('standby');
exit_is(run_clone($primary, $standby, '-N'), 'completed', 'a standby, before the damage');
ok(start_server_in($standby), 'it starts');
catch_up($primary, $standby);

# Bytes at a place in a block, under a server that does not run.
sub damage
{
	my ($node, $file, $block, $at, $bytes) = @_;
	open my $page, '+<:raw', $node->data_dir . "/$file" or die "$file: $!";
	seek $page, $block * 8192 + $at, 0;
	print $page $bytes;
	close $page or die "$file: $!";
	return;
}

for my $donor ($primary, $standby)
{
	my $name = $donor->name;
	$donor->stop;
	# pd_upper, then bytes of the body; the high half of the LSN.
	damage($donor, $path{plain}, 3, 14, "\0\0");
	damage($donor, $path{plain}, 5, 4000, 'broken');
	damage($donor, $path{plain}, 5, 0, pack('L', 0x7FFF));
	damage($donor, $path{pg_shdescription}, 0, 4000, 'broken');
	$donor->start;
	my $place = new_place("of_$name");
	my $run = run_clone($donor, $place, '-N', '--no-slot');
	clone_fails($run, 'corrupted', qr/3 pages of the donor have wrong checksums/, "of the $name");
	like($run->err, qr/\Q$path{plain}\E", block $_\b|block 3 and 1 more/, "of the $name: block $_ is found") for 3, 5;
	is($donor->safe_psql('postgres', q(SELECT coalesce(datname, 'shared'), checksum_failures FROM pg_stat_database
		WHERE checksum_failures > 0 ORDER BY 1)), "postgres|2\nshared|1", "of the $name: pg_stat_database counts them");
}

# --- a table full of them ---------------------------------------------------------------
$primary->stop;
my $blocks = (-s $primary->data_dir . "/$path{garbage}") / 8192;
cmp_ok($blocks, '>=', 4000, 'a table of some size');
damage($primary, $path{garbage}, $_, 4000, 'broken') for 0 .. $blocks - 1;
$primary->start;
my $before = -s $primary->logfile;
my $place = new_place('of_garbage');
my $run = start_clone($primary, $place, '-N', '--no-slot', '-j', '4');
within(30, 'garbage', sub { $run->finish });
# A checksum has 16 bits: of thousands of pages one or two are right by chance.
clone_fails($run, 'corrupted', qr/(?:@{[join '|', map { $blocks + $_ } 1 .. 3]}) pages of the donor have wrong checksums/, 'garbage: each page is counted');
for my $told ([ 'the donor', substr(content_of($primary->logfile), $before) ], [ 'the program', $run->err ])
{
	my ($who, $text) = @$told;
	my @lines = grep { /checksum verification failed in file "\Q$path{garbage}\E"/ } split /\n/, $text;
	is(scalar @lines, 5, "garbage: $who tells of it in five lines");
	like($lines[-1], qr/further ones of this file/, "garbage: $who says that there are more");
}
$standby->stop;
is_clean_on($primary, 'garbage', 'clone');

done_testing();
