# A disk that fails, on either host, in whatever the clone does with it: one error that names the file and
# the reason, its own exit code, nothing that could be started, a clean donor, and the same command completes
# the clone once the disk is well again.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Faults;
use StandbyClone;

my $disk = Faults->new('helper') or plan skip_all => 'no C compiler here to make a disk that fails';
my $donor_disk = Faults->new('donor');
my $primary = new_primary(start => 0);
$donor_disk->around(sub { $primary->start });
$primary->safe_psql('postgres', 'CREATE EXTENSION pg_standby_clone');
fill_primary($primary, rows => 3000);
sub value { return $primary->safe_psql('postgres', $_[0]) }
my $relation = value(q(SELECT pg_relation_filepath('plain')));
my $large = value(q(SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE relname = 'toasted'));
is(value("SELECT pg_relation_size(reltoastrelid) >= 1048576 FROM pg_class WHERE relname = 'toasted'"), 't',
	'one file is written past the cache');

my %reason = (EIO => 'Input/output error', ENOSPC => 'No space left on device', EROFS => 'Read-only file system');
my $number = 0;
sub clone_with_faults
{
	my ($place, $rules, @options) = @_;
	$disk->set(@$rules);
	my $run = $disk->around(sub { run_clone($primary, $place, '-j', '2', '--no-slot', @options) });
	$disk->clear;
	return $run;
}

# A clone whose disk fails, then the same command with a sound one. Returns the place.
sub fails_and_completes
{
	my ($what, $rule, $message, %with) = @_;
	my $place = new_place('standby' . ++$number);
	my $directory = $place->data_dir;
	if ($with{earlier})
	{
		# What an earlier run has left is compared.
		clone_fails(clone_with_faults($place, [ $with{earlier} ]), 'disk', qr/./, "$what, an earlier run");
	}
	my $run = clone_with_faults($place, [$rule]);
	cmp_ok($disk->count, '>', 0, "$what: the disk failed");
	clone_fails($run, $with{class} // 'disk', qr/error: could not $message[^\n]*: $reason{ $rule->[3] }\n/, $what);
	is(scalar(() = $run->err =~ /error: /g), 1, "$what: one error");
	is_clean_on($primary, $what);
	is(value('SELECT state FROM clone_status() LIMIT 1'), 'failed', "$what: the donor knows");
	is_not_startable($directory, $what);
	exit_is(run_clone($primary, $place, '-N', '--no-slot'), 'completed', "$what, then well again");
	command_ok([ 'pg_verifybackup', $directory ], "$what, then well again: pg_verifybackup is content");
	return $place;
}

fails_and_completes('writing a small file', [ 'pwrite', $relation, 0, 'EIO' ],
	qr/write file "[^"]*\Q$relation\E(?:_\w+)?"/);
my $standby = fails_and_completes('writing past the cache', [ 'pwrite', $large, 1, 'EIO' ],
	qr/write file "[^"]*\Q$large\E"/);
prove_standby($primary, $standby, 'writing past the cache, then well again', slot => '');
$standby->stop;
# As a file system becomes when its disk fails.
fails_and_completes('a file system that has become read-only', [ 'pwrite', $relation, 0, 'EROFS' ],
	qr/write file "[^"]*\Q$relation\E(?:_\w+)?"/, class => 'target');
fails_and_completes('creating a file', [ 'open', "base/1/PG_VERSION", 0, 'EIO' ],
	qr/create file "[^"]*base\/1\/PG_VERSION"/);
$standby = fails_and_completes('making files durable', [ 'syncfs', '', 0, 'EIO' ], qr/sync the file system of "[^"]*"/);
prove_standby($primary, $standby, 'making files durable, then well again', slot => '');
$standby->stop;
fails_and_completes('writing the journal', [ 'pwrite', 'pg_standby_clone.journal', 2, 'ENOSPC' ],
	qr/write file "[^"]*\/pg_standby_clone\.journal(?:\.new)?"/);
fails_and_completes('making the journal durable', [ 'fsync', 'pg_standby_clone.journal', 2, 'EIO' ],
	qr/fsync "[^"]*\/pg_standby_clone\.journal(?:\.new)?"/);
fails_and_completes('writing WAL', [ 'pwrite', '/pg_wal/0', 1, 'EIO' ], qr/write file "[^"]*\/pg_wal\/[0-9A-F]{24}"/);
fails_and_completes('making WAL durable', [ 'fsync', '/pg_wal/0', 0, 'EIO' ],
	qr/fsync "[^"]*\/pg_wal\/[0-9A-F]{24}"/);
fails_and_completes('writing the manifest', [ 'pwrite', 'backup_manifest', 0, 'ENOSPC' ],
	qr/write file "[^"]*\/backup_manifest\.new"/);
fails_and_completes('making pg_control durable', [ 'fsync', 'pg_standby_clone.pg_control', 0, 'EIO' ],
	qr/fsync "[^"]*\/global\/pg_standby_clone\.pg_control\.new"/);
fails_and_completes('giving pg_control its name', [ 'rename', 'pg_standby_clone.pg_control', 1, 'EIO' ],
	qr/rename file "[^"]*\/global\/pg_standby_clone\.pg_control"/);
fails_and_completes('reading what is here', [ 'pread', $large, 0, 'EIO' ], qr/read file "[^"]*\Q$large\E"/,
	earlier => [ 'pwrite', 'backup_manifest', 0, 'EIO' ]);

# What is offered only may be refused.
for my $rule ([ 'fallocate', '', 0, 'ENOSPC' ], [ 'fallocate', '', 0, 'EINTR' ], [ 'fallocate', '', 0, 'EINVAL' ],
	[ 'fallocate', '', 0, 'EOPNOTSUPP' ], [ 'syncfs', '', 0, 'ENOSYS' ], [ 'syncfs', '', 0, 'EINVAL' ])
{
	my $what = "$rule->[0]: $rule->[3]";
	my $place = new_place('standby' . ++$number);
	exit_is(clone_with_faults($place, [$rule]), 'completed', $what);
	cmp_ok($disk->count, '>', 0, "$what: it was refused");
	command_ok([ 'pg_verifybackup', $place->data_dir ], "$what: pg_verifybackup is content");
}

# What the donor cannot read it does not send, and says why.
my $place = new_place('of_the_donor');
for my $call ('pread', 'open')
{
	$donor_disk->set([ $call, $relation, 0, 'EIO' ]);
	my $run = run_clone($primary, $place, '-N', '-j', '2', '--no-slot');
	$donor_disk->clear;
	cmp_ok($donor_disk->count, '>', 0, "$call on the donor: its disk failed");
	my $did = $call eq 'open' ? 'open' : 'read';
	clone_fails($run, 'donor', qr/error: .*could not $did file "\Q$relation\E(?:_\w+)?": Input\/output error\n/,
		"$call on the donor");
	is(scalar(() = $run->err =~ /error: /g), 1, "$call on the donor: one error");
	is_clean_on($primary, "$call on the donor");
	is_not_startable($place->data_dir, "$call on the donor");
}
exit_is(run_clone($primary, $place, '-N', '--no-slot'), 'completed', 'the donor, then well again');
prove_standby($primary, $place, 'the donor, then well again', slot => '');

done_testing();
