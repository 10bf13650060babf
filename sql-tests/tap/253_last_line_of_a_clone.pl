# The last line of a clone is a command that starts it; where the donor's configuration lies elsewhere, and no other is
# named, there is none to say. A donor's configuration file that lies on this host, too, is the donor's.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use StandbyClone;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_primary(start => 0);
my ($data, $etc) = ($primary->data_dir, scratch('etc'));
for my $file ('postgresql.conf', 'pg_hba.conf', 'pg_ident.conf')
{
	rename("$data/$file", "$etc/$file") or die "$file: $!";
}
append_to_file("$etc/postgresql.conf",
	"data_directory = '$data'\nhba_file = '$etc/pg_hba.conf'\nident_file = '$etc/pg_ident.conf'\n");
system_or_bail('pg_ctl', '-s', '-w', '-D', $data, '-l', $primary->logfile, '-o', "-c config_file=$etc/postgresql.conf",
	'start');
adopt($primary);
$primary->safe_psql('postgres', 'CREATE EXTENSION pg_standby_clone');
fill_primary($primary, rows => 1000);

my $plain = new_place('plain');
my $run = run_clone($primary, $plain, '-N', '--no-slot');
exit_is($run, 'completed', 'no configuration');
like($run->err, qr/it has no configuration yet: the donor's lies outside its data directory$/m, 'no configuration: says so');
unlike($run->err, qr/start it with/, 'no configuration: no command is named');

my $standby = new_place();
my $config = own_config($standby, conf => "hba_file = '$etc/pg_hba.conf'\nident_file = '$etc/pg_ident.conf'\n");
$run = run_clone($primary, $standby, '-N', '--config-file', $config);
exit_is($run, 'completed', 'one of its own');
my ($command) = $run->err =~ /start it with: (.+)$/m;
ok($command, 'one of its own: a command is named');
is(system("$command >'" . $standby->logfile . "' 2>&1"), 0, 'one of its own: which starts it');
ok(adopt($standby), 'one of its own: it runs');
wait_for_streaming($primary, 'clone');
prove_started($primary, $standby, 'one of its own');
$standby->stop;
$primary->stop;
done_testing();
