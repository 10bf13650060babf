# The options that change what comes out: no WAL, given slot, no slot, manifests, label, compression,
# number of streams; and --json.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary();
fill_primary($primary, rows => 3000);
my $number = 0;

# Not each needs a server to prove it: verify_only.
sub clone_with
{
	my ($what, $options, %with) = @_;
	my $standby = new_place('standby' . ++$number);
	exit_is(run_clone($primary, $standby, '-N', @$options), 'completed', $what);
	if ($with{verify_only})
	{
		command_ok([ 'pg_verifybackup', $standby->data_dir ], "$what: pg_verifybackup is content");
	}
	else
	{
		prove_standby($primary, $standby, $what, %with);
		$standby->stop('immediate');
	}
	$primary->safe_psql('postgres', 'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots');
	return $standby;
}

# --- WAL ---
my $standby = new_place('without_wal');
exit_is(run_clone($primary, $standby, '-N', '-X', 'none'), 'completed', '-X none');
ok(!(grep { m{/[0-9A-F]{24}$} } glob($standby->data_dir . '/pg_wal/*')), '-X none: there is no WAL');
prove_standby($primary, $standby, '-X none', no_wal => 1);
$standby->stop('immediate');
$primary->safe_psql('postgres', 'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots');

# --- slots ---
clone_with('--no-slot', ['--no-slot'], slot => '');
$primary->safe_psql('postgres', "SELECT pg_create_physical_replication_slot('given')");
my $failing = new_place('failing');
my $run = start_clone($primary, $failing, '-N', '-S', 'given', '-r', '2M');
wait_for_copying($primary, $run);
$run->signal('TERM');
exit_is($run, 'cancelled', '-S, cancelled');
is_clean_on($primary, '-S, cancelled', 'given');
is($primary->safe_psql('postgres', 'SELECT slot_name FROM pg_replication_slots'), 'given',
	'-S: a given slot is never dropped');
clone_with('-S', [ '-S', 'given' ], slot => 'given');
# A slot of that name that nobody uses is taken over, and holds WAL from then on.
$primary->safe_psql('postgres', "SELECT pg_create_physical_replication_slot('clone', true)");
clone_with('an old slot', []);

# One that shall be made must not be there.
$primary->safe_psql('postgres', "SELECT pg_create_physical_replication_slot('there')");
clone_fails(run_clone($primary, new_place('twice'), '-C', '-S', 'there'), 'preflight',
	qr/replication slot "there" already exists.*\n.*--create-slot/, '-C, of a slot that exists');
is($primary->safe_psql('postgres', 'SELECT pg_drop_replication_slot(slot_name), count(*) OVER () FROM pg_replication_slots'),
	'|1', '-C: that one stays');
$failing = new_place('failing_to_make');
$run = start_clone($primary, $failing, '-N', '-C', '-S', 'made', '-r', '2M');
wait_for_copying($primary, $run);
$run->signal('TERM');
exit_is($run, 'cancelled', '-C, cancelled');
is_clean_on($primary, '-C, cancelled');
clone_with('-C', [ '-C', '-S', 'made' ], slot => 'made');

# --- whatever pg_basebackup has is taken, or refused with a line of its own ---
my ($help) = run_command([ 'pg_basebackup', '--help' ]);
my %values = (format => 'plain', 'max-rate' => '1M', target => 'server:/x', 'tablespace-mapping' => '/a=/b',
	waldir => '/x', 'wal-method' => 's', compress => 'client-zstd:3', checkpoint => 'fast',
	'manifest-checksums' => 'NONE', 'sync-method' => 'fsync', dbname => 'postgres', 'status-interval' => 10);
my %refused = map { $_ => 1 } qw(target incremental gzip);
my $options = 0;
for my $line (split /\n/, $help)
{
	my ($letter, $name, $has_value) = $line =~ /^\s+(?:(-\S), )?--([a-z-]+)(=?)/ or next;
	next if $name eq 'help' || $name eq 'version';
	$options++;
	my @value = $has_value ? ($values{$name} // 'x') : ();
	for my $option (grep { defined } $letter, "--$name")
	{
		my ($said, $error) = run_command([ 'pg_standby_clone', $option, @value, '--version' ]);
		if ($refused{$name}) { like($error, qr/there is no --$name/, "pg_basebackup $option: refused by name") }
		else { like($said, qr/^pg_standby_clone \d/, "pg_basebackup $option: taken") or diag($error) }
	}
}
cmp_ok($options, '>', 25, 'pg_basebackup has options');

# --- options from elsewhere; a dry run ---
my $options_file = scratch('options') . '/file';
append_to_file($options_file, "no-slot\nlabel = of file\nno-manifest = false\nsync-method = fsync\n");
chmod 0600, $options_file;
my $elsewhere = new_place('elsewhere');
exit_is($run = run_clone($primary, $elsewhere, '--options-file', $options_file, '--dry-run'), 'completed', '--dry-run');
like($run->out, qr/^connection +ok/m, '--dry-run: is a check');
ok(!-e $elsewhere->data_dir, '--dry-run: touches nothing');
{
	local $ENV{PG_STANDBY_CLONE_LABEL} = 'of environment';
	# As the file says: each file is synced by itself.
	exit_is(run_clone($primary, $elsewhere, '--options-file', $options_file), 'completed', 'options from elsewhere');
}
like(content_of($elsewhere->data_dir . '/backup_label'), qr/^LABEL: of environment$/m, 'the environment is heard');
is($primary->safe_psql('postgres', 'SELECT count(*) FROM pg_replication_slots'), '0', 'the file, too: no slot');

# --- manifests ---
my $encoded = clone_with('--manifest-force-encode', ['--manifest-force-encode'], verify_only => 1);
unlike(content_of($encoded->data_dir . '/backup_manifest'), qr/"Path"/, '--manifest-force-encode: no path is readable');
for my $algorithm (qw(NONE SHA224 sha256 SHA384 SHA512))
{
	my $made = clone_with("--manifest-checksums=$algorithm", ["--manifest-checksums=$algorithm"], verify_only => 1);
	my $manifest = content_of($made->data_dir . '/backup_manifest');
	if ($algorithm eq 'NONE') { unlike($manifest, qr/Checksum-Algorithm/, 'NONE: no checksums of files') }
	else { like($manifest, qr/"Checksum-Algorithm": "\U$algorithm"/, "$algorithm: it is the one used") }
}
my $bare = clone_with('--no-manifest', ['--no-manifest'], no_manifest => 1);
ok(!-e $bare->data_dir . '/backup_manifest', '--no-manifest: there is none');

# A manifest that could not fail would prove nothing.
my $altered = clone_with('altered', [], verify_only => 1);
my $file = $altered->data_dir . '/PG_VERSION';
append_to_file($file, "\n");
command_fails([ 'pg_verifybackup', $altered->data_dir ], 'altered: pg_verifybackup sees it');

# --- compression, streams, label ---
for my $method ('zstd', 'zstd:9')
{
	my $made = clone_with("-Z $method", [ '-Z', $method ], verify_only => $method ne 'zstd');
	is($primary->safe_psql('postgres', 'SELECT bytes_sent < bytes_done / 2 FROM clone_status() LIMIT 1'), 't',
		"-Z $method: less on the wire");
}
clone_with('-j 1', [ '-j', '1' ], verify_only => 1);
clone_with('-j 12', [ '-j', '12' ], verify_only => 1);
$primary->append_conf('postgresql.conf', "pg_standby_clone.max_streams = 2\n");
$primary->reload;
my $limited = new_place('limited');
exit_is($run = run_clone($primary, $limited, '-N', '-j', '12'), 'completed', 'max_streams');
like($run->err, qr/the donor allows 2 streams/, 'max_streams: says so');
is($primary->safe_psql('postgres', 'SELECT streams FROM clone_status() LIMIT 1'), '2', 'max_streams: is kept');
is($primary->safe_psql('postgres', 'SELECT slot_name FROM pg_replication_slots'), 'clone', 'a slot for it');

my $labelled = new_place('labelled');
exit_is(run_clone($primary, $labelled, '-N', '--name', 'l', '-l', "O'Brien's label"), 'completed', '-l');
like(content_of($labelled->data_dir . '/backup_label'), qr/^LABEL: O'Brien's label$/m, '-l: is in backup_label');

# --- the donor's settings are those of the documents, with default and limits ---
my $top = abs_path(dirname(__FILE__) . '/../..');
my %documented = map { /^\| `(pg_standby_clone\.\w+)` \| `(-?\d+)`( s)? \| (-?\d+), (\d+) \|/ ? ($1 => "$2 $4 $5" . ($3 // '')) : () }
  split /\n/, content_of("$top/docs/settings.md");
my %settings = map { split /\|/, $_, 2 } split /\n/, $primary->safe_psql('postgres', <<SQL);
LOAD 'pg_standby_clone';
SELECT name, concat_ws(' ', boot_val, min_val, max_val, unit) FROM pg_settings WHERE name LIKE 'pg_standby_clone.%';
SQL
cmp_ok(scalar keys %settings, '>=', 4, 'settings');
is_deeply(\%documented, \%settings, 'settings: as documented');

# --- JSON ---
my $spoken = new_place('spoken');
$run = run_clone($primary, $spoken, '-N', '--name', 'spoken', '--json');
exit_is($run, 'completed', '--json');
is($run->err, '', '--json: nothing on standard error');
my @said = map { decode_json($_) } split /\n/, $run->out;
my ($result) = grep { $_->{type} eq 'result' } @said;
is($said[-1], $result, '--json: the last line is the result');
is($result->{state}, 'completed', '--json: with its state');
is($result->{slot}, 'spoken', '--json: and slot');
cmp_ok($result->{bytes}, '>', 20_000_000, '--json: and bytes');
is(join(' ', map { $_->{phase} } grep { $_->{type} eq 'phase' } @said),
	'preparing checkpoint copying wal syncing finishing', '--json: each phase is a line');
$run = run_clone($primary, $spoken, '-N', '--name', 'spoken', '--json');
exit_is($run, 'completed', '--json, the same command again');
is(decode_json($run->out =~ s/.*\n(?=.)//sr)->{state}, 'complete already', '--json, again: there was nothing to do');
$run = run_clone($primary, $spoken, '-N', '--name', 'another', '--json');
exit_is($run, 'target', '--json, refused');
my $error = decode_json((split /\n/, $run->out)[-1]);
is("$error->{type} $error->{class} $error->{exit_code}", 'error target refused 4', '--json, refused: the error');

done_testing();
