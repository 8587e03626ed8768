package EgTest;

# The programs of eg/, run by those who test them.

use strict;
use warnings;

use AIOTest;
use Exporter 'import';
use FindBin;
use POSIX ();

our @EXPORT = qw(start run installed);

my $eg = "$FindBin::Bin/../eg";

our @modules;    # to be loaded before the program
our $directory;  # that it runs in

# Starts a program of eg/; its output can be read from what is returned first. Messages go to the file "err".
sub start {
    my ($program, @args) = @_;
    defined(my $pid = open my $out, '-|') or die "fork: $!";
    unless ($pid) {
        alarm AIOTest::LIMIT / 2;
        $ENV{IO_AIO_ENGINE} = engine unless is_peer;
        open STDERR, '>', tmpdir . '/err';
        !defined $directory or chdir $directory or POSIX::_exit(112);
        exec perl_command, (map "-M$_", @modules), "$eg/$program", @args or POSIX::_exit(113);
    }
    return ($out, $pid);
}

# Runs one to its end: status, output, messages.
sub run {
    my ($out) = start(@_);
    my $text = do { local $/; <$out> };
    close $out;
    return ($? >> 8, $text, read_file(tmpdir . '/err'));
}

# In a process of its own: loading an event loop opens descriptors.
sub installed { !(run_perl(join ' ', map "require $_;", @_))[0] }

1;
