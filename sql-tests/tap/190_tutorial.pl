# docs/tutorial.md does as it is written: each command is run, in one shell, and what it shows is what the
# tutorial says, "..." standing for whatever varies.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $tutorial = content_of(abs_path(dirname(__FILE__) . '/../..') . '/docs/tutorial.md');

# [command, what it shows]: lines of a code block, "$ " before a command.
my @steps;
for my $line (split /\n/, $tutorial)
{
	next unless $line =~ s/^    //;
	if ($line =~ /^\$ (.*)/) { push @steps, [ $1, [] ] }
	elsif (@steps) { push @{ $steps[-1][1] }, $line }
}
# Lines for pg_hba.conf stand in a block without a command.
@{ $_->[1] } = grep { !/^host / } @{ $_->[1] } for @steps;
cmp_ok(scalar @steps, '>', 40, 'the tutorial has commands');

# A short path: sockets lie there.
my $home = PostgreSQL::Test::Utils::tempdir_short();
my $script = "$home/tutorial.sh";
my $text = "set +m\nPAGER=cat\n";
# The shell's own words about its jobs are no output of a command.
$text .= "echo; echo '>>> $_'\n{ " . $steps[$_][0] . ($steps[$_][0] =~ /&$/ ? '' : ';') . " } 2>&1\necho \"<<< \$?\"\n" for 0 .. $#steps;
append_to_file($script, $text);
my %kept = map { $_ => $ENV{$_} } grep { /^PG(?!_)/ } keys %ENV;
delete @ENV{ keys %kept };
my ($out, $err) = ('', '');
{
	local $ENV{HOME} = $home;
	IPC::Run::run([ 'bash', $script ], '<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(240));
}
for my $number (0 .. $#steps)
{
	my ($command, $shows) = @{ $steps[$number] };
	my ($said, $status) = $out =~ /^>>> $number\n(.*?)^<<< (\d+)$/ms;
	is($status, 0, "$command: ends well") or diag($said // $out), next;
	s/ +$// for my @lines = split(/\n/, $said);
	s/ +$// for my @wanted = @$shows;
	my $pattern = join '\n', map { join '.*', map { quotemeta } split /\.\.\./, $_, -1 } @wanted;
	like(join("\n", @lines), qr/\A$pattern\n*\z/s, "$command: shows what the tutorial says");
}
is($err, '', 'the shell complains about nothing');
done_testing();

# Should it have stopped half-way.
END { system('pg_ctl', '-D', $_, '-m', 'immediate', '-s', 'stop') for map { dirname($_) } glob "$home/clones/*/postmaster.pid" }
