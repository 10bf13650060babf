# WAL segments of 1 MB and of 64 MB: nothing assumes 16 (trap 39).
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

for my $size (1, 64)
{
	my $primary = new_primary(name => "primary$size", initdb => ["--wal-segsize=$size"],
		conf => $size == 64 ? "min_wal_size = 128MB\n" : "min_wal_size = 2MB\n");
	fill_primary($primary, rows => 2000);
	my $standby = new_place("standby$size");
	my $run = start_clone($primary, $standby, '-N', '-r', '12M');
	wait_for_copying($primary, $run);
	# Several segments of WAL in mid-copy, where they are small.
	$primary->safe_psql('postgres',
		'CREATE TABLE more AS SELECT n, md5(n::text) FROM generate_series(1, 50000) n');
	exit_is($run, 'completed', "$size MB");
	my @segments = grep { m{/[0-9A-F]{24}$} } glob($standby->data_dir . '/pg_wal/*');
	ok(@segments > ($size == 1 ? 3 : 0), "$size MB: there are segments");
	is_deeply([ grep { -s $_ != $size << 20 } @segments ], [], "$size MB: each has its full size");
	ok(!(grep { !-e $standby->data_dir . "/pg_wal/archive_status/" . (split '/')[-1] . '.done' } @segments),
		"$size MB: each is marked as archived");
	prove_standby($primary, $standby, "$size MB");
	$primary->stop;
	$standby->stop;
}

done_testing();
