# Over TLS with a verified certificate, and SCRAM: all connections of the clone and the standby's
# are encrypted, and no password is written down unless asked for.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary(conf => "listen_addresses = '127.0.0.1'\npassword_encryption = 'scram-sha-256'\n");
fill_primary($primary);
my $certificates = scratch('certificates');
for my $command (
	"openssl req -new -x509 -days 3650 -nodes -subj /CN=test-ca -keyout ca.key -out ca.crt",
	"openssl req -new -nodes -subj /CN=127.0.0.1 -keyout server.key -out server.csr",
	"printf 'subjectAltName=IP:127.0.0.1\\n' > names",
	"openssl x509 -req -days 3650 -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile names -out server.crt",
	"openssl req -new -x509 -days 3650 -nodes -subj /CN=other-ca -keyout other.key -out other.crt",
	"chmod 600 *.key")
{
	system("cd '$certificates' && ($command) >/dev/null 2>&1") == 0 or die "failed: $command";
}
$primary->append_conf('postgresql.conf', <<CONF);
ssl = on
ssl_cert_file = '$certificates/server.crt'
ssl_key_file = '$certificates/server.key'
CONF
my $database_user = $ENV{USER} // getpwuid($<);
open my $hba, '>', $primary->data_dir . '/pg_hba.conf' or die;
print $hba <<HBA;
local all all trust
hostssl postgres replicator 127.0.0.1/32 scram-sha-256
hostssl replication replicator 127.0.0.1/32 scram-sha-256
HBA
close $hba;
$primary->restart;
$primary->safe_psql('postgres', "CREATE ROLE replicator LOGIN REPLICATION PASSWORD 'very-secret'");

my $port = $primary->port;
my $tls = "host=127.0.0.1 port=$port user=replicator sslmode=verify-full sslrootcert=$certificates/ca.crt";
my $passwords = scratch('home') . '/passwords';
append_to_file($passwords, "127.0.0.1:$port:*:replicator:very-secret\n");
chmod 0600, $passwords;

my $standby = new_place();
clone_fails(run_clone(undef, $standby, '-d', $tls), 'connection', qr/password/, 'no password');
clone_fails(run_clone(undef, $standby, '-d', "$tls password=wrong"), 'connection',
	qr/password authentication failed/, 'wrong password');
clone_fails(run_clone(undef, $standby, '-d',
		"host=127.0.0.1 port=$port user=replicator password=very-secret sslmode=verify-full sslrootcert=$certificates/other.crt"),
	'connection', qr/certificate verify failed/, 'a certificate of another authority');
ok(!-e $standby->data_dir, 'refused connections leave no directory');

my $run = start_clone(undef, $standby, '-d', "$tls passfile=$passwords", '-N', '-r', '8M', '-j', '2');
wait_for_copying($primary, $run);
my $connections;
wait_until('control, two streams and WAL are there', sub {
	$connections = $primary->safe_psql('postgres', <<'SQL');
SELECT count(*), bool_and(s.ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)
 WHERE a.application_name = 'pg_standby_clone'
SQL
	return $connections =~ /^4\|/;
});
is($connections, '4|t', 'all are encrypted');
exit_is($run, 'completed', 'TLS');
my $settings = content_of($standby->data_dir . '/postgresql.auto.conf');
unlike($settings, qr/very-secret/, 'no password in postgresql.auto.conf');
like($settings, qr/sslmode=\S*verify-full/, 'sslmode is in primary_conninfo');
like($settings, qr/sslrootcert=\S*\Q$certificates\E\/ca\.crt/, 'so is the root certificate');
like($settings, qr/passfile=\S*\Q$passwords\E/, 'and the password file');
prove_standby($primary, $standby, 'TLS');
is($primary->safe_psql('postgres',
		'SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)'),
	't', 'the standby streams over TLS');
$standby->stop;

my $frank = new_place('frank');
$ENV{PGPASSWORD} = 'very-secret';
exit_is(run_clone(undef, $frank, '-d', $tls, '--name', 'frank', '-N', '--write-password'), 'completed',
	'written password');
delete $ENV{PGPASSWORD};
$settings = content_of($frank->data_dir . '/postgresql.auto.conf');
like($settings, qr/password=\S*very-secret/, 'with --write-password it is there');
is((stat $frank->data_dir . '/postgresql.auto.conf')[2] & 07777, 0600, 'in a file for the owner alone');
prove_standby($primary, $frank, 'written password', slot => 'frank');

done_testing();
