# Tally.pm: the harness of prove that also writes down what ran: to the file TALLY names, as
# "passed failed skipped", and to its output what was skipped and why. A file that dies, or runs
# another number of tests than it planned, counts as one failure more.
package Tally;

use strict;
use warnings;
use parent 'TAP::Harness';

my @skipped;

sub runtests { my ($self, @tests) = @_; watch($self); return $self->SUPER::runtests(@tests) }
sub aggregate_tests { my ($self, @rest) = @_; watch($self); return $self->SUPER::aggregate_tests(@rest) }

sub watch
{
	my ($self) = @_;
	return if $self->{is_watched}++;
	$self->callback(
		made_parser => sub {
			my ($parser, $job) = @_;
			my ($name) = $job->[0] =~ m{([^/]+)$};
			$parser->callback(test => sub {
				my ($test) = @_;
				push @skipped, "$name: " . ($test->explanation || 'no reason given') if $test->has_skip;
			});
			$parser->callback(plan => sub {
				my ($plan) = @_;
				push @skipped, "$name: " . ($plan->explanation || 'no reason given')
				  if $plan->has_skip || $plan->tests_planned == 0;
			});
		});
}

sub summary
{
	my ($self, $aggregate) = @_;
	my ($passed, $failed, $left_out) = (0, 0, 0);
	for my $parser ($aggregate->parsers)
	{
		my $skips = () = $parser->skipped;
		$passed += (() = $parser->passed) - $skips;
		my $failures = () = $parser->failed;
		$failed += $failures;
		$failed++ if !$failures && $parser->has_problems;
		$left_out += $skips + ($parser->skip_all ? 1 : 0);
	}
	print "SKIPPED $_\n" for @skipped;
	if (my $tally = $ENV{TALLY})
	{
		open my $file, '>', $tally or die "Tally: could not write $tally: $!\n";
		print $file "$passed $failed $left_out\n";
		close $file or die "Tally: could not write $tally: $!\n";
	}
	return $self->SUPER::summary($aggregate);
}

1;
