# A standby whose WAL the donor does not have any more: that the donor wrote what it replayed last is seen by pages, and what
# changed since is all that travels. Twins that were opened without being promoted look alike, whoever follows them too: by
# their pages, or by the record with which a server begins, they are told apart, and compared. So is a directory of
# which pages would stay that are not what the donor has.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary(conf => "checkpoint_timeout = 1h\n");
if (major_of($primary) >= 17)
{
	$primary->append_conf('postgresql.conf', "summarize_wal = on\n");
	$primary->restart;
}
fill_primary($primary);
$primary->safe_psql('postgres',
	q(CREATE TABLE large AS SELECT n, repeat(md5(n::text), 30) AS text FROM generate_series(1, 30000) n));
$primary->safe_psql('postgres', 'CREATE TABLE hot AS SELECT generate_series(1, 50) n');
my ($stale, $twin) = map { new_place($_) } qw(stale twin);
for my $place ($stale, $twin)
{
	exit_is(run_clone($primary, $place, '-N', '--name', $place->name), 'completed', $place->name . ': the first clone');
	prove_standby($primary, $place, $place->name . ': the first clone', slot => $place->name);
}

# What both wrote last, flushed here by a restartpoint.
sub leave_witnesses
{
	my (@places) = @_;
	$primary->safe_psql('postgres', $_)
	  for ('DROP TABLE IF EXISTS witness', 'SELECT pg_switch_wal()',
		'CREATE TABLE witness AS SELECT generate_series(1, 5000) n', 'VACUUM witness', 'CHECKPOINT',
		'CREATE TABLE IF NOT EXISTS after_it ()');
	for my $place (@places)
	{
		catch_up($primary, $place);
		$place->safe_psql('postgres', 'CHECKPOINT');
	}
	return;
}

sub remove_wal
{
	my (@slots) = @_;
	$primary->safe_psql('postgres', "SELECT pg_drop_replication_slot('$_')") for @slots;
	my $needed = $primary->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_lsn())');
	for (1 .. 3)
	{
		$primary->safe_psql('postgres', $_)
		  for ('CREATE TABLE a_while AS SELECT 1; DROP TABLE a_while', 'SELECT pg_switch_wal()', 'CHECKPOINT');
	}
	ok(!-e $primary->data_dir . "/pg_wal/$needed", 'the WAL is gone');
	return;
}

leave_witnesses($stale);

for my $how (qw(fast immediate))
{
	$stale->stop($how);
	$primary->safe_psql('postgres',
		"UPDATE large SET text = '$how' WHERE n % 3000 = 0; DELETE FROM plain WHERE id % 100 = 1; VACUUM plain");
	remove_wal('stale');
	my $run = run_clone($primary, $stale, '--delta', '--json', '-v', '-N', '--name', 'stale');
	exit_is($run, 'completed', "stale, stopped: $how");
	like($run->out, qr/"method":"changes"/, "stale, stopped: $how: by what changed");
	like($run->out, qr/what it replayed last the donor wrote, too/,
		"stale, stopped: $how: says what proves it");
	prove_standby($primary, $stale, "stale, stopped: $how", slot => 'stale');
	leave_witnesses($stale);
}

# Not all of it is looked at: nearly every page is damaged, behind its header.
sub damage
{
	my ($place, $table) = @_;
	my $file = $place->data_dir . '/' . $primary->safe_psql('postgres', "SELECT pg_relation_filepath('$table')");
	my $bytes = slurp_file($file);
	substr $bytes, $_ * 8192 + 8100, 4, 'rot!' for 0 .. length($bytes) / 8192 - 1;
	open my $out, '+<:raw', $file or die $!;
	print $out $bytes;
	close $out or die $!;
	return;
}

$stale->stop;
$primary->safe_psql('postgres', 'UPDATE large SET text = text WHERE n = 1');
remove_wal('stale');
damage($stale, 'large');
my $run = run_clone($primary, $stale, '--delta', '--json', '-v', '-N', '--name', 'stale');
exit_is($run, 'completed', 'damaged');
like($run->out, qr/"method":"compare"/, 'damaged: is compared');
like($run->out, qr/block \d+ would stay, and is not what the donor has/, 'damaged: says which block');
prove_standby($primary, $stale, 'damaged', slot => 'stale');

# --- twins ---------------------------------------------------------------------------------

# A server of its own, on the timeline that it was on.
sub open_twin
{
	$twin->stop;
	unlink $twin->data_dir . '/standby.signal' or die;
	$twin->append_conf('postgresql.auto.conf', "primary_conninfo = ''\nprimary_slot_name = ''\n");
	$twin->start;
	return;
}

sub compared
{
	my ($place, $why, $what) = @_;
	my $run = run_clone($primary, $place, '--delta', '--json', '-v', '-N', '--name', $place->name);
	exit_is($run, 'completed', $what);
	like($run->out, qr/"method":"compare"/, "$what: is compared");
	like($run->out, $why, "$what: says why");
	prove_standby($primary, $place, $what, slot => $place->name);
	is($place->safe_psql('postgres', "SELECT count(*) FROM plain WHERE text LIKE 'staging%'"), '0',
		"$what: nothing of its own is left");
	return;
}

leave_witnesses($stale, $twin);
$stale->stop;
open_twin();
# Its follower replays what it wrote, and nothing but pages that the donor writes later, too.
$stale->append_conf('postgresql.auto.conf',
	"primary_conninfo = '" . $twin->connstr . "'\nprimary_slot_name = ''\nhot_standby_feedback = off\n");
$stale->start;
$twin->safe_psql('postgres', 'UPDATE hot SET n = n + 1; CHECKPOINT') for 1 .. 3;
catch_up($twin, $stale);
$stale->stop;
$twin->safe_psql('postgres', "UPDATE plain SET text = 'staging' WHERE id <= 5000; CHECKPOINT");
$twin->safe_psql('postgres', "UPDATE plain SET text = 'staging, too' WHERE id BETWEEN 5001 AND 5100");
# Its pg_control says that it is in recovery.
$twin->stop;
append_to_file($twin->data_dir . '/standby.signal', '');
$twin->start;
$twin->stop;

# Far beyond where the twin came to.
$primary->safe_psql('postgres', "UPDATE large SET text = text || 'x'");
$primary->safe_psql('postgres', 'UPDATE hot SET n = n + 1') for 1 .. 5;
remove_wal('stale', 'twin');
compared($stale, qr/of which no page tells whether the donor wrote it|otherwise than the donor/, 'who follows a twin');
compared($twin, qr/does not have its WAL any more, and that WAL /, 'a twin in recovery');

# --- on a later timeline -----------------------------------------------------------------------

# One more than the promotion lies between: what it replayed last is of the new timeline.
$primary->stop;
$stale->promote;
$twin->append_conf('postgresql.auto.conf', "primary_conninfo = '" . $stale->connstr . "'\nprimary_slot_name = ''\n");
$twin->restart;
$primary = $stale;
leave_witnesses($twin);
$twin->stop;
$primary->safe_psql('postgres', "UPDATE large SET text = 'later' WHERE n % 3000 = 0");
remove_wal();
$run = run_clone($primary, $twin, '--delta', '--json', '-v', '-N', '--name', 'twin');
exit_is($run, 'completed', 'on a later timeline');
like($run->out, qr/"method":"changes"/, 'on a later timeline: by what changed');
like($run->out, qr/what it replayed last the donor wrote, too/, 'on a later timeline: says what proves it');
prove_standby($primary, $twin, 'on a later timeline', slot => 'twin');

done_testing();
