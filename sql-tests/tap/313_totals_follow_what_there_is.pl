# What a clone shows of itself to its end: bytes and totals never fall back, neither in the server's own view nor in ours, and what
# vanished since the list was made leaves the totals: a complete clone is at 100 %.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;
use Wire;

my $primary = new_primary();
$primary->safe_psql('postgres', 'CREATE ROLE replicator LOGIN REPLICATION');
fill_large($primary);

# --- the server's own view -----------------------------------------------------------------

my $control = Wire->begun($primary, target => 'seen');
$control->request(Wire::plain('list'));
$control->frame('list_end');
my $stream = Wire->stream($primary, $control);
$stream->frame('welcome');
my $path = $primary->safe_psql('postgres', "SELECT pg_relation_filepath('big1')");
$stream->request(Wire::read($path, length => 1048576));
$stream->frame('range_end');
my $view = "SELECT backup_streamed || ' of ' || backup_total, phase FROM pg_stat_progress_basebackup";
my $seen;
wait_until('it is shown', sub { ($seen = $primary->safe_psql('postgres', $view)) =~ /^1048576 of [1-9]\d+\|streaming/ });
my ($counts) = split /\|/, $seen;
$control->request(Wire::plain('end'));
$control->frame('label');
is($primary->safe_psql('postgres', $view), "$counts|transferring wal files", 'they stay when the WAL is waited for');
$control->request(Wire::outcome(6, 'enough'));
$control->error;
is_clean_on($primary, 'seen');

# --- what vanishes --------------------------------------------------------------------------

my $place = new_place();
my $run = start_clone($primary, $place, '-N', '-r', '4M', '-j', '1');
wait_for_copying($primary, $run, 1000000);
my $listed = $primary->safe_psql('postgres', 'SELECT bytes_total FROM clone_progress');
$primary->safe_psql('postgres', 'DROP TABLE big1, big2, big3; CHECKPOINT');
$primary->safe_psql('postgres', "SELECT set_clone_rate(id, NULL) FROM clone_progress");
exit_is($run, 'completed', 'tables that were dropped');
my $ended = $primary->safe_psql('postgres', 'SELECT bytes_done, bytes_total, files_done, files_total FROM clone_status() LIMIT 1');
my ($done, $total, $files_done, $files_total) = split /\|/, $ended;
is($done, $total, 'tables that were dropped: all bytes that there are were copied');
is($files_done, $files_total, 'and all files');
cmp_ok($total, '<', $listed, 'which are fewer than the list had');
prove_standby($primary, $place, 'tables that were dropped');

done_testing();
