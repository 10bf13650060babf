# A page is read while the server writes it. A write that is stalled half way for as long as the clone takes is
# repaired by replay, since its LSN lies inside the backup; a page that reads wrong once is read again; one that reads
# otherwise each time, and wrong each time, is damaged (traps 21 and 56).
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Faults;
use StandbyClone;

my $disk = Faults->new('donor') or plan skip_all => 'no C compiler here';
# The checkpoint is the only one to write.
my $primary = new_primary(start => 0, conf => "bgwriter_lru_maxpages = 0\nautovacuum = off\n");
$disk->around(sub { $primary->start });
$primary->safe_psql('postgres', 'CREATE EXTENSION pg_standby_clone');
fill_primary($primary);
sub value { return $primary->safe_psql('postgres', $_[0]) }
sub psql_run { return StandbyClone::Run->new('psql', '-XAtq', '-d', $primary->connstr('postgres'), '-c', $_[0]) }

# --- half of a page is written ----------------------------------------------------------
# The largest file, read by one stream from its beginning: its last page is not read yet.
value('CREATE TABLE large AS SELECT n, repeat(md5(n::text), 30) FROM generate_series(1, 48000) n');
value('CREATE INDEX ON large (n)');
value('CHECKPOINT');
my $large = value("SELECT pg_relation_filepath('large')");
my $size = value("SELECT pg_relation_size('large')");
my $place = new_place('written');
my $run = start_clone($primary, $place, '-N', '-j', '1', '-r', '4M', '--name', 'written');
wait_for_copying($primary, $run);
my $id = value('SELECT max(id) FROM clone_status()');
is(value("SELECT pause_standby_clone($id)"), 't', 'half written: paused');
wait_until('the stream waits', sub { value("SELECT waiting_for FROM clone_streams") eq 'pause' });
cmp_ok(value("SELECT bytes_done FROM clone_status($id)"), '<', $size - 1024 * 1024, 'half written: the page is still to come');
value("UPDATE large SET repeat = 'new' WHERE n = 48000");
$disk->set([ 'pwrite', $large, 0, '/' ]);
my $checkpoint = psql_run('CHECKPOINT');
wait_until('half of the page is written', sub { $disk->count > 0 });
value("SELECT set_clone_rate($id, NULL)");
is(value("SELECT resume_standby_clone($id)"), 't', 'half written: resumed');
wait_until('the pages are copied', sub { phase_of($primary) ne 'copying' || !$run->is_running });
ok($checkpoint->is_running, 'half written: the write is not over');
is(value("SELECT checksum_failures FROM clone_status($id)"), '0', 'half written: it is not taken for damage');
$disk->clear;
exit_is($run, 'completed', 'half written');
prove_standby($primary, $place, 'half written', slot => 'written');
$place->stop;
$checkpoint->finish;

# --- read otherwise each time -----------------------------------------------------------
my $plain = value("SELECT pg_relation_filepath('plain')");
$disk->set([ 'pread', $plain, 0, '~' ]);
$place = new_place('once');
exit_is(run_clone($primary, $place, '-N', '-j', '1', '--name', 'once'), 'completed', 'read wrong once');
cmp_ok($disk->count, '>', 0, 'read wrong once: so it was');
$disk->clear;
prove_standby($primary, $place, 'read wrong once', slot => 'once');
$place->stop;

$primary->stop;
open my $file, '+<:raw', $primary->data_dir . "/$plain" or die;
seek $file, 5000, 0;
print $file 'broken';
close $file;
$disk->around(sub { $primary->start });
$disk->set([ 'pread', $plain, 0, '~' ]);
$place = new_place('changed');
$run = run_clone($primary, $place, '-N', '-j', '1', '--name', 'changed');
cmp_ok($disk->count, '>', 0, 'changed once and wrong: so it was');
$disk->clear;
clone_fails($run, 'corrupted', qr/checksum verification failed in file "\Q$plain\E", block 0\n/, 'changed once and wrong');

done_testing();
