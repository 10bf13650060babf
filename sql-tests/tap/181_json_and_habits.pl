# Each line of --json is one that docs/json-schema.json describes, and nothing that it does not; lines
# of the log have a prefix to filter by. libpq's environment and service file, and PG_COLOR, work.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $top = abs_path(dirname(__FILE__) . '/../..');
my $schema = decode_json(content_of("$top/docs/json-schema.json"));

# --- the part of JSON Schema that ours uses; what it does not know is an error ---
sub is_type
{
	my ($value, $type) = @_;
	return !defined $value if $type eq 'null';
	return ref $value eq 'HASH' if $type eq 'object';
	my $text = encode_json([$value]);
	return $text =~ /^\[-?\d+\]$/ ? 1 : 0 if $type eq 'integer';
	return $text =~ /^\[-?\d+(\.\d+)?(e[-+]?\d+)?\]$/i ? 1 : 0 if $type eq 'number';
	return $text =~ /^\["/ ? 1 : 0 if $type eq 'string';
	die "unknown type $type";
}

sub fault_of
{
	my ($value, $rule) = @_;
	for my $key (keys %$rule)
	{
		my $wants = $rule->{$key};
		if ($key eq 'title' || $key eq 'description' || $key eq 'properties' || $key eq '$schema') { next }
		elsif ($key eq 'type')
		{
			return "is no " . encode_json([$wants]) unless grep { is_type($value, $_) } ref $wants ? @$wants : $wants;
		}
		elsif ($key eq 'const') { return "is not $wants" unless defined $value && $value eq $wants }
		elsif ($key eq 'enum') { return 'is none of ' . encode_json($wants) unless defined $value && grep { $_ eq $value } @$wants }
		elsif ($key eq 'minimum') { return "is below $wants" if $value < $wants }
		elsif ($key eq 'pattern') { return "does not match $wants" unless defined $value && $value =~ /$wants/ }
		elsif ($key eq 'required')
		{
			for my $name (@$wants) { return "has no $name" unless exists $value->{$name} }
		}
		elsif ($key eq 'additionalProperties')
		{
			for my $name (keys %$value) { return "has $name" unless exists $rule->{properties}{$name} }
		}
		elsif ($key eq 'oneOf')
		{
			my @fits = grep { !defined fault_of($value, $_) } @$wants;
			return 'fits ' . @fits . ' forms' unless @fits == 1;
		}
		else { die "unknown keyword $key" }
	}
	if (exists $rule->{properties})
	{
		for my $name (keys %{ $rule->{properties} })
		{
			next unless ref $value eq 'HASH' && exists $value->{$name};
			my $fault = fault_of($value->{$name}, $rule->{properties}{$name});
			return "$name $fault" if defined $fault;
		}
	}
	return undef;
}

# The checker itself: it must refuse what is wrong.
for my $wrong ('{"type":"phase"}', '{"type":"phase","phase":"resting"}', '{"type":"notice","message":"x","more":1}',
	'{"type":"notice","message":7}', '{"type":"result","state":"ok","errors":-1,"warnings":0,"exit_code":0}', '{"type":"x"}')
{
	ok(defined fault_of(decode_json($wrong), $schema), "refused: $wrong");
}

my %seen;
sub fits
{
	my ($run, $what) = @_;
	my @faults;
	for my $line (split /\n/, $run->out)
	{
		my $object = decode_json($line);
		$seen{ $object->{type} }++;
		my $fault = fault_of($object, $schema);
		push @faults, "$line: $fault" if defined $fault;
	}
	is(join("\n", @faults), '', "$what: each line is one of the schema's");
	like((split /\n/, $run->out)[-1], qr/"type":"(result|error)"/, "$what: the last line tells how it ended");
	return;
}

my $primary = new_primary();
fill_primary($primary, rows => 3000);
my $place = new_place();
fits(StandbyClone::Run::finished('pg_standby_clone', 'check', '-D', $place->data_dir, '-h', $primary->host, '-p', $primary->port, '--json'),
	'check');
symlink '/nowhere', $primary->data_dir . '/a_link';
my $run = run_clone($primary, $place, '-N', '--json', '-v', '-r', '8M');
exit_is($run, 'completed', 'a clone');
fits($run, 'a clone');
fits(run_clone($primary, $place, '-N', '--json'), 'the same command again');
fits(run_clone($primary, $place, '-N', '--json', '--name', 'another'), 'a refused clone');
for my $directory ($place->data_dir, $primary->data_dir)
{
	my $status = StandbyClone::Run::finished('pg_standby_clone', 'status', '-D', $directory, '--json');
	is(fault_of(decode_json($status->out), $schema), undef, "status of $directory: is the schema's");
}
my $bare = new_place('bare');
fits(run_clone($primary, $bare, '-N', '--json', '--no-slot', '--start', '--config-file', own_config($bare)), 'without a slot, started');
adopt($bare);
is(join(' ', sort grep { $_ ne 'notice' } keys %seen), 'check detail error phase progress result warning',
	'every kind of line was seen');
unlink $primary->data_dir . '/a_link';

# --- a prefix for the log ---
$run = run_clone($primary, new_place('spoken'), '-N', '--no-slot', '-P');
is(join("\n", grep { !/^pg_standby_clone: / } split /\n/, $run->err), '', 'each line on standard error has the prefix');
my $log = slurp_file($primary->logfile);
like($log, qr/LOG:  pg_standby_clone: clone /, 'the donor logs with one, too');

# --- libpq's habits ---
sub clone_with_environment
{
	my ($what, %environment) = @_;
	local @ENV{ keys %environment } = values %environment;
	my $made = new_place($what =~ s/\W/_/gr);
	my $clone = StandbyClone::Run->new('pg_standby_clone', '-D', $made->data_dir, '-N', '--no-slot', '--name', 'e');
	exit_is($clone, 'completed', $what);
	return $made;
}
clone_with_environment('PGHOST and PGPORT', PGHOST => $primary->host, PGPORT => $primary->port);
my $services = scratch('services') . '/pg_service.conf';
append_to_file($services, "[donor]\nhost=" . $primary->host . "\nport=" . $primary->port . "\ndbname=postgres\n");
my $made = clone_with_environment('PGSERVICE', PGSERVICEFILE => $services, PGSERVICE => 'donor', PGHOST => 'nowhere.invalid');
like(content_of($made->data_dir . '/postgresql.auto.conf'), qr/primary_conninfo = .*port=/, 'PGSERVICE: the standby knows the way');

# --- colour ---
{
	local $ENV{PG_COLOR} = 'always';
	my $failed = run_clone($primary, $place, '-N', '--name', 'another');
	like($failed->err, qr/\e\[01;31merror: \e\[0m/, 'PG_COLOR=always: errors are red');
	local $ENV{PG_COLOR} = 'auto';
	unlike(run_clone($primary, $place, '-N', '--name', 'another')->err, qr/\e\[/, 'PG_COLOR=auto: not when it is no terminal');
}

# --- slips of the command line ---
$run = StandbyClone::Run::finished('pg_standby_clone', '-D', '/x', '--tablespace-maping=/a=/b');
like($run->err, qr/unknown option "--tablespace-maping".*\n.*--tablespace-mapping/, 'the near option is named');
exit_is($run, 'usage', 'a misspelt option');
$run = StandbyClone::Run::finished('pg_standby_clone', 'chekc', '-D', '/x');
like($run->err, qr/unknown command "chekc"/, 'a misspelt command');
my ($help) = run_command([ 'pg_standby_clone', '--help' ]);
cmp_ok(scalar(grep { length($_) > 100 } split /\n/, $help), '==', 0, '--help: no line is too wide');

done_testing();
