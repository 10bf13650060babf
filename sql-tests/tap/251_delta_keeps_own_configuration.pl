# --delta leaves a host its own configuration: postgresql.conf, pg_hba.conf, what they include, what ALTER SYSTEM set,
# and the mode of its directory. --donor-config takes the donor's.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use StandbyClone;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_primary();
fill_primary($primary, rows => 5000);
my $standby = new_place('standby');
exit_is(run_clone($primary, $standby, '-N'), 'completed', 'the first clone');
prove_standby($primary, $standby, 'the first clone');
my $data = $standby->data_dir;
$standby->safe_psql('postgres', "ALTER SYSTEM SET work_mem = '7MB'");
$standby->stop;
mkdir "$data/conf.d";
append_to_file("$data/conf.d/own.conf", "maintenance_work_mem = '9MB'\n");
append_to_file("$data/own.conf", "temp_buffers = '3MB'\n");
append_to_file("$data/pg_hba.conf", "# of this host\n");
append_to_file("$data/postgresql.conf", "include_dir 'conf.d'\ninclude 'own.conf'\n");
chmod_recursive($data, 0750, 0640);

# The donor's are others by now.
my $donors = $primary->data_dir;
mkdir "$donors/conf.d";
append_to_file("$donors/conf.d/theirs.conf", "maintenance_work_mem = '99MB'\n");
append_to_file("$donors/own.conf", "temp_buffers = '33MB'\n");
append_to_file("$donors/pg_hba.conf", "# of the donor\n");
append_to_file("$donors/postgresql.conf", "include_dir 'conf.d'\ninclude 'own.conf'\nlog_min_duration_statement = 7\n");
$primary->safe_psql('postgres', "ALTER SYSTEM SET work_mem = '77MB'");
$primary->safe_psql('postgres', q(UPDATE plain SET text = 'changed' WHERE id % 10 = 0));

my %before = map { $_ => content_of("$data/$_") } qw(postgresql.conf pg_hba.conf pg_ident.conf conf.d/own.conf own.conf);
sub is_own
{
	my ($what) = @_;
	is(content_of("$data/$_"), $before{$_}, "$what: $_ is as it was") for sort keys %before;
	ok(!-e "$data/conf.d/theirs.conf", "$what: nothing of the donor's is included");
	return;
}

# Interrupted, and gone on with: with or without --delta they stay.
my $run = start_clone($primary, $standby, '--delta=compare', '-N', '-r', '1M', '-j', '1');
wait_for_copying($primary, $run);
$run->signal('TERM');
exit_is($run, 'cancelled', 'interrupted');
is_own('interrupted');
$run = run_clone($primary, $standby, '-N');
exit_is($run, 'completed', 'gone on with');
like($run->err, qr/own configuration stays .*: postgresql\.conf, postgresql\.auto\.conf, pg_hba\.conf/, 'gone on with: says so');
unlike($run->err, qr/conf" is not of the donor/, 'gone on with: once');
is_own('gone on with');
ok(check_mode_recursive($data, 0750, 0640), 'gone on with: the modes of the directory itself');
prove_standby($primary, $standby, 'gone on with');
is(join(' ', map { $standby->safe_psql('postgres', "SHOW $_") } qw(work_mem maintenance_work_mem temp_buffers log_min_duration_statement)),
	'7MB 9MB 3MB -1', 'gone on with: its own settings');
$standby->stop;

# What stays is measured with what the donor has.
append_to_file("$data/postgresql.conf", "max_connections = 39\n");
clone_fails(run_clone($primary, $standby, '--delta', '-N', '--start'), 'preflight',
	qr/max_connections = 39 \(the donor has 40\)/, 'too low');
ok(-e "$data/global/pg_control", 'too low: nothing was changed');
my $check = StandbyClone::Run->new('pg_standby_clone', 'check', '-D', $data, '--delta', '--name', 'clone',
	'-h', $primary->host, '-p', $primary->port);
exit_is($check, 'completed', 'too low, without --start');
like($check->out, qr/^settings\s+warning/m, 'too low, without --start: a warning');

exit_is(run_clone($primary, $standby, '--delta', '--donor-config', '-N'), 'completed', '--donor-config');
is(content_of("$data/$_"), content_of("$donors/$_"), "--donor-config: $_") for qw(postgresql.conf pg_hba.conf conf.d/theirs.conf own.conf);
prove_standby($primary, $standby, '--donor-config');
is($standby->safe_psql('postgres', 'SHOW work_mem'), '77MB', '--donor-config: what ALTER SYSTEM set there');
$standby->stop;
$primary->stop;
done_testing();
