# What --delta must never touch: the donor itself, by its own path, through a link, by a
# tablespace or pg_wal that leads there; another cluster; one made otherwise; one with a server;
# what is no cluster. Each time nothing is changed.
use strict;
use warnings;
use Cwd qw(realpath);
use File::Copy qw(copy);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $tablespace = scratch('tablespace');
my $primary = new_primary();
$primary->safe_psql('postgres', "CREATE TABLESPACE space LOCATION '$tablespace'");
$primary->safe_psql('postgres', 'CREATE TABLE there (n integer) TABLESPACE space; INSERT INTO there SELECT generate_series(1, 10000)');

sub refused
{
	my ($directory, $like, $what, @options) = @_;
	my $before = listing($directory);
	my $run = run_clone($primary, $directory, '--delta', '-N', @options);
	clone_fails($run, 'target', $like, $what);
	is(listing($directory), $before, "$what: nothing was changed");
	is_clean_on($primary, $what, "clone");
}

sub listing
{
	my ($directory) = @_;
	my ($out) = run_command([ 'sh', '-c',
		q(cd "$0" && find . -path ./pg_wal -prune -o -path ./pg_stat_tmp -prune -o -path ./pg_stat -prune -o -type f -print0 | sort -z | xargs -0 md5sum; find . -type l -o -type d | sort), $directory ]);
	return $out;
}

refused($primary->data_dir, qr/a PostgreSQL server runs in/, 'the donor, running');
my $link = scratch('links') . '/link';
symlink $primary->data_dir, $link or die;
refused($link, qr/a PostgreSQL server runs in/, 'the donor, by another name');

# Without its lock file it is known by its shared memory.
my $pid_file = $primary->data_dir . '/postmaster.pid';
my $pid = content_of($pid_file);
rename $pid_file, "$pid_file.hidden" or die;
my $run = run_clone($primary, $primary->data_dir, '--delta', '-N');
clone_fails($run, 'target', qr/processes of a PostgreSQL server still use/, 'the donor, unrecognized');
ok(-e $primary->data_dir . '/global/pg_control', 'the donor, unrecognized: its pg_control kept its name');
ok(!-e $pid_file, 'the donor, unrecognized: no lock was taken');
is(join(' ', glob($primary->data_dir . '/pg_standby_clone.*')), '', 'the donor, unrecognized: no probe is left');
rename "$pid_file.hidden", $pid_file or die;
$primary->safe_psql('postgres', 'CHECKPOINT');

# A copy of its files, whose links lead to its tablespace.
my $copy = scratch('copies') . '/copy';
system_or_bail('cp', '-a', $primary->data_dir, $copy);
unlink "$copy/postmaster.pid";
refused($copy, qr/the donor's own directory.*pg_tblspc/s, 'a tablespace that is the donor\'s');
like(run_clone($primary, $copy, '--delta', '-N')->err, qr/--tablespace-mapping/, 'a tablespace that is the donor\'s: says what to do');
system_or_bail('rm', '-rf', "$copy/pg_wal");
symlink $primary->data_dir . '/pg_wal', "$copy/pg_wal" or die;
refused($copy, qr/the donor's own directory/, 'a pg_wal that is the donor\'s', '-T', "$tablespace=" . scratch('elsewhere'));
unlink "$copy/pg_wal"; mkdir "$copy/pg_wal", 0700;
exit_is(run_clone($primary, $copy, '--delta', '-N', '-T', "$tablespace=" . scratch('elsewhere')), 'completed',
	'with a tablespace of its own it is as good as any');
is($primary->safe_psql('postgres', 'SELECT count(*) FROM there'), '10000', 'and the donor has its own yet');
$primary->safe_psql('postgres', q(SELECT pg_drop_replication_slot('clone')));

# Other clusters.
my $other = PostgreSQL::Test::Cluster->new('other');
$other->init(extra => ['--data-checksums']);
refused($other->data_dir, qr/system identifier is \d+ here and \d+ on the donor/, 'another cluster');

# The same cluster, made otherwise: as if checksums had been disabled, or WAL segments resized.
my $stale = new_place('stale');
exit_is(run_clone($primary, $stale, '-N', '-T', "$tablespace=" . scratch('stale_space')), 'completed', 'a stale standby');
sub with_control
{
	my ($what, $change) = @_;
	my $path = $stale->data_dir . '/global/pg_control';
	my $saved = content_of($path);
	system_or_bail(@$change) if ref $change eq 'ARRAY';
	$change->($path) if ref $change eq 'CODE';
	refused($stale->data_dir, $what->[1], $what->[0]);
	open my $file, '>:raw', $path or die; print $file $saved; close $file;
}
SKIP:
{
	# A backup's pg_control must be recovered before these tools take it: start and stop it.
	start_server_in($stale);
	catch_up($primary, $stale);
	$stale->stop;
	with_control([ 'other checksum setting', qr/version of data checksums is 0 here and 1 on the donor/ ],
		[ 'pg_checksums', '--disable', '-D', $stale->data_dir ]);
}
with_control([ 'damaged pg_control', qr/is damaged, or of a server/ ],
	sub { open my $file, '+<:raw', $_[0] or die; seek $file, 100, 0; print $file 'x'; close $file });

start_server_in($stale);
refused($stale->data_dir, qr/a PostgreSQL server runs in/, 'a server at work');
$stale->stop;

# No cluster at all, or none that says which.
my $thesis = scratch('thesis');
append_to_file("$thesis/thesis.txt", 'years of work');
refused($thesis, qr/is not empty/, 'no cluster');
unlink $stale->data_dir . '/global/pg_control';
refused($stale->data_dir, qr/has no global\/pg_control/, 'a cluster without pg_control');

# Another WAL segment size is another initdb, hence another cluster: only the message is at stake.
my $small = PostgreSQL::Test::Cluster->new('small');
$small->init(extra => [ '--data-checksums', '--wal-segsize=1' ]);
refused($small->data_dir, qr/system identifier/, 'another WAL segment size');

# Of an unfinished clone: of another cluster.
my $half = new_place('half');
my $second = new_primary(name => 'second');
fill_primary($second);
$run = start_clone($second, $half, '-N', '-r', '2M');
wait_for_copying($second, $run);
$run->signal('TERM');
$run->finish;
clone_fails(run_clone($primary, $half, '-N'), 'target', qr/unfinished clone in .* is of another cluster/, 'an unfinished clone of another cluster');

done_testing();
