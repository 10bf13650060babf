# An old primary that went on writing after its standby was promoted comes back as a standby of
# that: the same blocks changed on both sides, files only here, files only there, a prepared
# transaction that the new primary knows nothing of, another timeline's history of the same number.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $old = new_primary(conf => "max_prepared_transactions = 5\n");
fill_primary($old);
$old->safe_psql('postgres', 'CREATE TABLE dropped_there AS SELECT generate_series(1, 50000) n');
my $new = new_place('new');
exit_is(run_clone($old, $new, '-N'), 'completed', 'the standby');
prove_standby($old, $new, 'the standby');
$new->promote;

# The split: both accept writes, on the same rows and new ones.
for my $side ([ $old, 'old' ], [ $new, 'new' ])
{
	my ($node, $name) = @$side;
	$node->safe_psql('postgres', <<SQL);
UPDATE plain SET text = '$name' || id WHERE id % 3 = 0;
UPDATE toasted SET text = repeat('$name', 3000) WHERE id % 5 = 0;
CREATE TABLE of_the_$name AS SELECT generate_series(1, 20000) n;
CREATE TABLE of_both AS SELECT '$name' AS side, generate_series(1, 20000) n;
SELECT nextval('counter') FROM generate_series(1, length('$name') * 100);
CREATE DATABASE database_$name;
CHECKPOINT;
SQL
}
$new->safe_psql('postgres', 'DROP TABLE dropped_there; VACUUM FULL plain; CHECKPOINT;');
$old->safe_psql('postgres', "BEGIN; INSERT INTO plain VALUES (-1, 'ghost'); PREPARE TRANSACTION 'ghost';");
$old->safe_psql('postgres', 'CHECKPOINT');
ok(glob($old->data_dir . '/pg_twophase/*'), 'the old primary has a prepared transaction on disk');
$old->stop('immediate');

# With its own timeline 2, that is not the new primary's.
my $history = $old->data_dir . '/pg_wal/00000002.history';
open my $file, '>', $history or die; print $file "1\t0/1\tbogus\n"; close $file;

my $run = run_clone($new, $old, '--delta', '-N', '--name', 'old');
exit_is($run, 'completed', 'the old primary');
isnt(content_of($history), "1\t0/1\tbogus\n", 'the history of its old life is gone');
ok(!glob($old->data_dir . '/pg_twophase/*'), 'so is its prepared transaction');
prove_standby($new, $old, 'the old primary', slot => 'old');
is($old->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts'), '0', 'no ghost');
is($old->safe_psql('postgres', "SELECT string_agg(DISTINCT side, ',') FROM of_both"), 'new', 'one truth');

# It can lead again.
$old->promote;
is($old->safe_psql('postgres', 'INSERT INTO of_both SELECT 1, 2 RETURNING n'), '2', 'it can be promoted');

done_testing();
