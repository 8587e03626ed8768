package IO::AIO::Glob;

# Patterns of file names, for aio_glob and aio_watch.

use 5.016;
use strict;
use warnings;

our $VERSION = '5.0';

# A pattern without slashes as text of a regular expression: * ? [...] [!...], and \ before what stands for itself.
sub _regex {
    my ($pattern) = @_;
    my $regex = '';
    while ($pattern =~ /\G(?: (\*+) | (\?) | \[(!?)(\]?[^\]]*)\] | \\(.) | (.) )/gsx) {
        if (defined $1) { $regex .= '.*' }
        elsif (defined $2) { $regex .= '.' }
        elsif (defined $4) { $regex .= '[' . ($3 ? '^' : '') . join('-', map quotemeta, split /(?<=.)-(?=.)/s, $4) . ']' }
        else { $regex .= quotemeta($5 // $6) }
    }
    return $regex;
}

1;
