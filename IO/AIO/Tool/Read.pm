package IO::AIO::Tool::Read;

# cat and hash: files are read by large blocks. For cat they come one after the other; for hash several are open, and what
# they give is printed in the order of the arguments.

use strict;
use warnings;

our $VERSION = '5.0';

use IO::AIO::Tool;
use IO::AIO;

use constant BLOCK => 1 << 18;

# Reads a file to its end: $data gets each block, $done an empty string or what was wrong. The next block is on its way
# while the last one is worked on.
sub read_file {
    my ($path, $data, $done) = @_;
    my $open = $path eq '-' ? sub { $_[0]->(\*STDIN) } : sub { aio_open $path, IO::AIO::O_RDONLY, 0, $_[0] };
    $open->(sub {
        my $fh = shift or return $done->("$!");
        my $read;
        $read = sub {
            my $buffer = '';
            aio_read $fh, undef, BLOCK, $buffer, 0, sub {
                my ($got) = @_;
                my $error = $got < 0 ? "$!" : '';
                $got > 0 ? $read->() : undef $read;
                $count{octets} += $got if $got > 0;
                return $data->($buffer) if $got > 0;
                $count{files}++ unless $error;
                $done->($error);
            };
        };
        $read->();
    });
}

sub cat {
    my (@paths) = @_;
    my @out = stat STDOUT;
    my $next;
    $next = sub {
        my $path = shift @paths;
        defined $path or return;
        if (is_output($path, @out)) {
            failed($path, 'input file is output file');
            return job($next);
        }
        read_file($path, \&out, sub {
            failed($path, $_[0]) if length $_[0];
            job($next);
        });
    };
    return '--json does not go with cat' if $option{json};
    job($next);
    return;
}

# Would what is written be read again?
sub is_output {
    my ($path, @out) = @_;
    return 0 unless @out && ($out[2] & 0170000) == 0100000;
    my @in = $path eq '-' ? stat STDIN : stat $path;
    return @in && $in[0] == $out[0] && $in[1] == $out[1] && $in[7] > 0;
}

sub hash {
    my (@paths) = @_;
    require Digest::SHA;
    my $algorithm = $option{algorithm} || 256;
    my (@line, @printed);
    my $next = 0;
    my $print = sub {
        while ($next < @paths && defined $line[$next]) {
            $line[$next]->();
            undef $line[$next++];
        }
    };
    for my $i (reverse 0 .. $#paths) {
        job(sub {
            my $sha = Digest::SHA->new($algorithm);
            read_file($paths[$i], sub { $sha->add($_[0]) }, sub {
                my ($error) = @_;
                my $sum = $sha->hexdigest;
                $line[$i] = length $error ? sub { failed($paths[$i], $error) } : sub { print_sum($algorithm, $sum, $paths[$i]) };
                $print->();
            });
        });
    }
    return;
}

# As sha256sum has it: a backslash in front says that the name is escaped.
sub print_sum {
    my ($algorithm, $sum, $path) = @_;
    return object(type => 'hash', path => $path, algorithm => "sha$algorithm", hash => $sum) if $option{json};
    return out("$sum  $path\0") if $option{null};
    my $mark = $path =~ s/([\\\n\r])/{ "\\" => "\\\\", "\n" => "\\n", "\r" => "\\r" }->{$1}/ge ? '\\' : '';
    out("$mark$sum  " . IO::AIO::Tool::shown($path) . "\n");
}

1;
