# Versions that differ: a helper older or newer than the extension gets one clear message; objects of an
# older script work with the new library, and an update brings what they lack.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;
use Wire;

my $primary = new_primary(no_extension => 1);
sub value { return $primary->safe_psql('postgres', $_[0]) }
value("CREATE EXTENSION pg_standby_clone VERSION '0.1'");

my @us = (user => scalar getpwuid $>);
for my $version (0, 2, 7)
{
	# What follows the version is another message there.
	my $wire = Wire->greet($primary, @us, version => $version, more => 'and fields of tomorrow');
	like($wire->error, qr/^(?:[A-Z]+ \w+ )?the pg_standby_clone program speaks protocol version $version, this server's extension \S+ speaks version 1\nInstall the same version/,
		"version $version: one clear message");
}
my $wire = Wire->greet($primary, @us, more => 'too much');
like($wire->error, qr/malformed Hello/, 'a Hello of this version with more in it');

# Objects of 0.1: a clone runs on them, without a history, for a program that asks for no more.
$wire = Wire->greet($primary, @us);
$wire->request(Wire::begin(target => 'old', advance_slot => 0));
ok(wait_until('it copies', sub { value('SELECT id, target, phase FROM clone_progress') eq '-1|old|copying' }),
	'objects of 0.1: a clone begins');
$wire->close;
ok(wait_until('it is gone', sub { value('SELECT state FROM clone_status(-1)') ne 'running' }), 'objects of 0.1: it is seen');
# Today's program wants more, and says what to do.
my $place = new_place();
clone_fails(run_clone($primary, $place, '-N'), 'preflight',
	qr/are of version 0\.1, which is too old for this program\n.*ALTER EXTENSION pg_standby_clone UPDATE/, 'objects of 0.1');
value('ALTER EXTENSION pg_standby_clone UPDATE');
is(value('SELECT target FROM clone_status(-1)'), 'old', 'updated: what was seen before still is');
exit_is(run_clone($primary, $place, '-N'), 'completed', 'updated: a clone');
is(value('SELECT id, target, state FROM clone_records'), '1|clone|completed', 'updated: it is in the history');
done_testing();
