# Files that come, move, shrink and go while they are copied: DROP DATABASE, TRUNCATE, VACUUM FULL,
# CREATE TABLE and DATABASE in mid-copy (traps 17 to 22).
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary();
fill_primary($primary, rows => 30000);
$primary->safe_psql('postgres', 'CREATE DATABASE doomed');
$primary->safe_psql('postgres', 'CREATE DATABASE moving');
$primary->safe_psql('moving', 'CREATE TABLE t AS SELECT n FROM generate_series(1, 1000) n');
$primary->safe_psql('postgres', <<'SQL');
CREATE TABLE shrinking (id integer PRIMARY KEY, text text);
INSERT INTO shrinking SELECT n, repeat('x', 200) FROM generate_series(1, 20000) n;
CREATE TABLE dropped AS SELECT * FROM shrinking;
CREATE TABLE emptied AS SELECT * FROM shrinking;
SQL

my $standby = new_place();
my $run = start_clone($primary, $standby, '-N', '-r', '9M', '-j', '3');
wait_for_copying($primary, $run);
$primary->safe_psql('postgres', $_) for (
	'DROP DATABASE doomed',
	'DELETE FROM shrinking WHERE id > 2000',
	'VACUUM (TRUNCATE) shrinking',
	'DROP TABLE dropped',
	'TRUNCATE emptied',
	"INSERT INTO emptied SELECT n, 'new' FROM generate_series(1, 100) n",
	'VACUUM FULL plain',
	'VACUUM FULL pg_class',
	'REINDEX TABLE toasted',
	'CREATE TABLE newborn AS SELECT * FROM plain WHERE id < 5000',
	'CREATE DATABASE newborn',
	'CREATE DATABASE copied STRATEGY file_copy',
	'ALTER DATABASE moving RENAME TO moved',
	'CREATE INDEX ON plain (text)');
is(phase_of($primary), 'copying', 'all of that happened while files were copied');
exit_is($run, 'completed', 'DDL in mid-copy');
prove_standby($primary, $standby, 'DDL in mid-copy');

done_testing();
