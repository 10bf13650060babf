# A WAL directory of its own, and a cluster that lets its group read: modes follow the donor's
# (trap 38).
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary(initdb => ['--allow-group-access']);
fill_primary($primary, rows => 2000);
my $standby = new_place();
my $wal = scratch('waldirs') . '/wal';
umask 0077;
exit_is(run_clone($primary, $standby, '-N', '--waldir', $wal), 'completed', 'group access and waldir');
is(readlink($standby->data_dir . '/pg_wal'), $wal, 'pg_wal leads to the WAL directory');
ok(-d "$wal/archive_status", 'archive_status is in it');
ok((grep { m{/[0-9A-F]{24}$} } glob("$wal/*")), 'WAL is in it');
is((stat $wal)[2] & 07777, 0750, 'the WAL directory has the mode of the donor');
ok(check_mode_recursive($standby->data_dir, 0750, 0640), 'so have all files and directories');
prove_standby($primary, $standby, 'group access and waldir');

my $refused = new_place('refused');
clone_fails(run_clone($primary, $refused, '--name', 'x', '--waldir', $wal), 'target',
	qr/WAL directory ".*" is not empty/, 'a used WAL directory');
clone_fails(run_clone($primary, $refused, '--name', 'x', '--waldir', 'relative'), 'usage',
	qr/not an absolute path/, 'a relative WAL directory');
clone_fails(run_clone($primary, $refused, '--name', 'x', '--waldir', $refused->data_dir . '/w'), 'target',
	qr/lies inside the data directory/, 'a WAL directory inside');
ok(!-e $refused->data_dir, 'nothing is left of the refused ones');

done_testing();
