# Where replay would make a wrong standby it is not taken: by name it is refused with the reason and changes nothing,
# without a name the directory is compared. A twin that wrote on the same timeline; WAL that was received, not
# replayed, and is of no server any more; pages beyond the split; WAL that is gone.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary();
fill_primary($primary);
my @places = map { new_place($_) } qw(twin ahead);
my ($twin, $ahead) = @places;
for my $place (@places)
{
	exit_is(run_clone($primary, $place, '-N', '--name', $place->name), 'completed', $place->name . ': the first clone');
	prove_standby($primary, $place, $place->name . ': the first clone', slot => $place->name);
}

# Refused by name, compared without one; then it is what its donor is.
sub is_compared
{
	my ($donor, $place, $reason, $what) = @_;
	my $name = $place->name;
	my $control = slurp_file($place->data_dir . '/global/pg_control');
	clone_fails(run_clone($donor, $place, '--delta=replay', '-N', '--name', $name), 'target', $reason, "$what, by name");
	is(slurp_file($place->data_dir . '/global/pg_control'), $control, "$what, by name: nothing was changed");
	my $run = run_clone($donor, $place, '--delta', '--json', '-N', '--name', $name);
	exit_is($run, 'completed', $what);
	like($run->out, $reason, "$what: says why");
	like($run->out, qr/"method":"compare"/, "$what: is compared");
	prove_standby($donor, $place, $what, slot => $name);
	return;
}

# Opened as a server of its own, on timeline 1 as the primary is; both go on writing.
$twin->stop;
unlink $twin->data_dir . '/standby.signal' or die;
$twin->start;
$twin->safe_psql('postgres', "UPDATE plain SET text = 'staging' WHERE id <= 5000");
$twin->stop;
$primary->safe_psql('postgres',
	q(CREATE TABLE more AS SELECT n, repeat(md5(n::text), 10) AS text FROM generate_series(1, 30000) n));
append_to_file($twin->data_dir . '/standby.signal', '');
clone_fails(run_clone($primary, $twin, '--delta=changes', '-N', '--name', 'twin'), 'target',
	qr/its WAL from \S+ on is another one than the donor's/, 'a twin on one timeline, by what changed');
is_compared($primary, $twin, qr/its WAL from \S+ on is another one than the donor's/, 'a twin on one timeline');

# It has received what it has not replayed; the primary is gone with that, another standby leads.
$ahead->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
catch_up($primary, $twin);
$twin->stop;
$primary->safe_psql('postgres', 'INSERT INTO plain SELECT n, $$lost$$ FROM generate_series(100001, 101000) n');
my $lsn = $primary->safe_psql('postgres', 'SELECT pg_current_wal_lsn()');
wait_until('it has received all', sub {
	$ahead->safe_psql('postgres', "SELECT pg_last_wal_receive_lsn() >= '$lsn'") eq 't' });
$primary->stop('immediate');
# In order: its pages do not reach as far as its WAL; had it replayed more, that could be in hint bits.
$ahead->stop;
$twin->append_conf('postgresql.auto.conf', "primary_conninfo = ''\nprimary_slot_name = ''\n");
$twin->start;
$twin->promote;
$twin->safe_psql('postgres', 'INSERT INTO plain SELECT n, $$kept$$ FROM generate_series(100001, 130000) n; CHECKPOINT');
clone_fails(run_clone($twin, $ahead, '--delta=changes', '-N', '--name', 'ahead'), 'target',
	qr/its pg_wal goes on to \S+, beyond where it left the donor's history/, 'WAL that was received and not replayed, by what changed');
is_compared($twin, $ahead, qr/beyond where it left the donor's history/,
	'WAL that was received and not replayed');

# The old primary wrote what the new one never had.
is_compared($twin, $primary, qr/crashed as a primary/, 'a primary that crashed');
$primary->stop;

# The WAL that it would need goes.
$twin->safe_psql('postgres', "SELECT pg_drop_replication_slot('primary')");
for my $round (1 .. 3)
{
	$twin->safe_psql('postgres', $_)
	  for ('CREATE TABLE a_while AS SELECT 1; DROP TABLE a_while', 'SELECT pg_switch_wal()', 'CHECKPOINT');
}
is_compared($twin, $primary, qr/the donor does not have all WAL from/, 'the WAL is gone');

done_testing();
