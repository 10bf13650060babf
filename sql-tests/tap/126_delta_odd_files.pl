# What else lies in a data directory that is made current: files of others, links where files
# should be, files with a second name, shrunken, grown and removed ones, unlogged tables, what a
# server leaves behind; and all of that is in the manifest or gone.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary();
fill_primary($primary);
$primary->safe_psql('postgres', <<SQL);
CREATE TABLE shrinks AS SELECT n, repeat('x', 100) t FROM generate_series(1, 40000) n;
CREATE TABLE grows AS SELECT n, repeat('x', 100) t FROM generate_series(1, 40000) n;
CREATE TABLE goes AS SELECT generate_series(1, 10000) n;
CREATE TABLE second_name AS SELECT generate_series(1, 10000) n;
CREATE UNLOGGED TABLE unlogged AS SELECT generate_series(1, 10000) n;
SQL
my $standby = new_place();
exit_is(run_clone($primary, $standby, '-N'), 'completed', 'the first clone');
start_server_in($standby);
catch_up($primary, $standby);
$standby->promote;
$standby->safe_psql('postgres', 'INSERT INTO unlogged SELECT generate_series(1, 20000); INSERT INTO grows SELECT n FROM generate_series(1, 40000) n');
$standby->stop;
my $data = $standby->data_dir;

my %path = map { $_ => $primary->safe_psql('postgres', "SELECT pg_relation_filepath('$_')") }
  qw(shrinks grows goes second_name unlogged plain toasted);
$primary->safe_psql('postgres', <<SQL);
DELETE FROM shrinks WHERE n > 100;
VACUUM (TRUNCATE) shrinks;
INSERT INTO grows SELECT n, repeat('y', 100) FROM generate_series(1, 40000) n;
DROP TABLE goes;
UPDATE second_name SET n = -n;
CHECKPOINT;
SQL
my $outside = scratch('outside');
my $untouched = 'of somebody else';
sub put { open my $file, '>', $_[0] or die "$_[0]: $!"; print $file $_[1]; close $file; }
put("$outside/$_", $untouched) for qw(plain hard conf);
put("$data/$_", "x\n") for qw(backup_label.new backup_manifest.new postgresql.auto.conf.new standby.signal.new
  backup_label tablespace_map recovery.signal backup_label.old unknown.txt
  base/5/99999999 base/5/t3_99999 base/5/pg_internal.init pg_xact/0FFF pg_replslot_note global/99999);
mkdir "$data/pg_replslot/ghost"; put("$data/pg_replslot/ghost/state", 'x');
mkdir "$data/base/77777"; put("$data/base/77777/1", 'x');
mkdir "$data/conf.d"; put("$data/conf.d/own.conf", "# own\n");
mkdir "$data/log" unless -d "$data/log"; put("$data/log/own.log", "a line\n");
append_to_file("$data/postgresql.auto.conf", "recovery_target_time = '2001-01-01'\n");
# A link, a directory, and a second name where a table should be.
unlink "$data/$path{plain}"; symlink "$outside/plain", "$data/$path{plain}" or die;
unlink "$data/$path{toasted}"; mkdir "$data/$path{toasted}"; put("$data/$path{toasted}/x", 'x');
link "$data/$path{second_name}", "$outside/second" or die;
my $second = content_of("$outside/second");
unlink "$data/postgresql.conf"; symlink "$outside/conf", "$data/postgresql.conf" or die;
symlink $outside, "$data/base/link" or die;

my $run = run_clone($primary, $standby, '--delta', '--donor-config', '-N');
exit_is($run, 'completed', 'delta');
is(content_of("$outside/$_"), $untouched, "what a link leads to is untouched: $_") for qw(plain hard conf);
is(content_of("$outside/second"), $second, 'so is what has a second name');
ok(!-l "$data/$path{plain}" && -f "$data/$path{plain}", 'where a link was is a file');
ok(-f "$data/$path{toasted}", 'so is where a directory was');
ok(!-e "$data/$_" && !-l "$data/$_", "gone: $_") for qw(backup_label.old tablespace_map recovery.signal
  base/5/99999999 base/5/t3_99999 base/5/pg_internal.init pg_xact/0FFF pg_replslot/ghost base/77777 base/link global/99999),
  $path{goes}, $path{unlogged};
ok(-e "$data/$path{unlogged}_init", 'the init fork is there');
is(content_of("$data/$_"), "x\n", "kept: $_") for qw(unknown.txt pg_replslot_note);
is(content_of("$data/conf.d/own.conf"), "# own\n", 'kept: a directory of others');
is(content_of("$data/log/own.log"), "a line\n", 'kept: its log');
unlike($run->err, qr{\.new" is not of the donor}, 'what an earlier run left half written belongs to nobody');
like($run->err, qr/unknown\.txt" is not of the donor and is kept/, 'kept: reported');
unlike(content_of("$data/postgresql.auto.conf"), qr/recovery_target/, 'no target of recovery is left');
is(-s "$data/$path{shrinks}", -s $primary->data_dir . "/$path{shrinks}", 'the shrunken file has its length');
prove_standby($primary, $standby, 'delta');
$standby->stop;

done_testing();
