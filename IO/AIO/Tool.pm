package IO::AIO::Tool;

# The frame of bin/aio: the table of verbs and options, from which command lines are read and help and completions are
# made; output, messages, progress and the way a command ends. Verbs are functions of IO::AIO::Tool::*, loaded when they
# are asked for. This is part of the program and no interface: there is one command in a process, and its state is here.

use strict;
use warnings;

use Exporter 'import';
use IO::AIO ();
use Time::HiRes ();

our $VERSION = '5.0';
our @EXPORT = qw(%option %count %total job tree walk_options below failed complain out object);

# What a verb is: its module and function, its arguments and how many there have to be at least, what it does, and what it
# counts, in the order of summaries.
our @VERB = (
    [cat  => 'Read',  'FILE...',          1, 'writes files to standard output, one after the other', [qw(files octets)]],
    [cp   => 'Copy',  'SOURCE... TARGET', 2, 'copies files and trees, with all attributes',
        [qw(files directories links others skipped octets)]],
    [du   => 'Walk',  '[PATH...]',        0, 'tells the space that trees take', [qw(entries)]],
    [find => 'Walk',  '[PATH...]',        0, 'lists or counts what is in trees', [qw(directories others)]],
    [hash => 'Read',  'FILE...',          1, 'prints checksums of files', [qw(files octets)]],
    [mv   => 'Copy',  'SOURCE... TARGET', 2, 'renames, or moves to another file system', [qw(moved skipped octets)]],
    [rm   => 'Remove', 'PATH...',         1, 'removes files and, with -r, trees', [qw(removed)]],
    [sync => 'Copy',  'SOURCE TARGET',    2, 'makes a tree the same as another one',
        [qw(files directories links others unchanged deleted octets)]],
);

# Long name, letter, what its value is ('' for none, 'N' a whole number, 'SECONDS', or alternatives), the verbs that have it
# ('' for all), and what it does. An option that begins with [no-] can be switched off.
our @OPTION = (
    ['jobs',        'j', 'N',       '', 'has up to N requests at a time (16)'],
    ['json',        '',  '',        '', 'prints an object a line, the result last'],
    ['[no-]progress', '', '',       '', 'shows how far it is, on a terminal after a second'],
    ['timeout',     '',  'SECONDS', '', 'gives up after that time'],
    ['help',        'h', '',        '', 'prints this'],
    ['one-file-system', 'x', '',    'cp du find rm sync', 'stays on the file system of each argument'],
    ['algorithm',   'a', '1|224|256|384|512', 'hash', 'is the kind of SHA (256)'],
    ['existing',    'e', 'replace|skip|update|fail', 'cp', 'is what happens to names that are there (replace)'],
    ['existing',    'e', 'replace|skip|fail', 'mv', 'is what happens to names that are there (replace)'],
    ['recursive',   'r', '',        'rm', 'removes directories with all that is in them'],
    ['force',       'f', '',        'rm', 'does not mind what is not there'],
    ['delete',      '',  '',        'sync', 'removes what the source does not have; shows it only, without --yes'],
    ['dry-run',     'n', '',        'sync', 'shows what it would do'],
    ['yes',         'y', '',        'sync', 'lets --delete remove'],
    ['verbose',     'v', '',        'cp mv rm sync', 'prints what it does'],
    ['count',       'c', '',        'find', 'prints numbers of directories and others, and their rate'],
    ['compare',     '',  '',        'find', 'counts by blocking calls, too, and prints the ratio'],
    ['name',        '',  'GLOB',    'find', 'wants names that match the pattern'],
    ['type',        't', 'b|c|d|f|l|p|s', 'find', 'wants entries of that type'],
    ['max-depth',   'd', 'N',       'du find', 'prints nothing that is deeper'],
    ['sort',        's', '',        'find', 'prints in order, at the end'],
    ['summarize',   's', '',        'du', 'prints the arguments only'],
    ['all',         '',  '',        'du', 'prints files, too'],
    ['octets',      'b', '',        'du', 'adds up sizes in octets, not blocks in KiB'],
    ['human',       'H', '',        'du', 'prints sizes as 1.5M'],
    ['null',        '0', '',        'cp du find hash mv rm sync', 'ends lines by a NUL'],
);

our (%option, %count, %total);
my %active;     # requests on trees, which an interrupted command cancels
my %follow;     # functions that ask some of these what they have done, by the same keys
my %source;     # what these read
my $measure;    # the request that finds out how much that is
our $verb = '';
my @queue;      # functions that begin what there is to do, the last one next
my $failures = 0;
my $trees = 0;
my ($stop, $began, $deadline);
my ($out, $flush) = ('', 0);    # what is to be written, and when at the latest

# ---- the command ---------------------------------------------------------------------------------

# Executes a command line; returns the exit status.
sub main {
    my (@args) = @_;
    my $first = @args ? $args[0] : '--help';
    return help('') if $first eq '--help' || $first eq '-h' || $first eq 'help' && @args == 1;
    return version() if $first eq '--version' || $first eq '-V';
    return help($args[1]) if $first eq 'help';
    return completion($args[1]) if $first eq '--completion';
    my $row = verb_row($first) or return usage(qq("$first" is no verb));
    $verb = shift @args;
    my $wrong = parse($verb, \@args);
    return usage($wrong) if defined $wrong;
    return help($verb) if $option{help};
    return usage("$verb takes " . $row->[2]) if @args < $row->[3] || $verb eq 'sync' && @args != 2;
    require "IO/AIO/Tool/$row->[1].pm";
    my $code = "IO::AIO::Tool::$row->[1]"->can($verb);
    return run($row, $code, @args);
}

sub run {
    my ($row, $code, @args) = @_;
    $began    = Time::HiRes::time();
    $deadline = $began + $option{timeout} if defined $option{timeout};
    %count    = map { $_ => 0 } @{ $row->[5] };
    IO::AIO::max_parallel(jobs());
    for my $signal (qw(INT TERM HUP PIPE)) {
        $SIG{$signal} = sub { $stop ||= $signal };
    }
    my $end = $code->(@args);    # text: what is wrong with the arguments; a function: what to do at the end
    return usage($end) if defined $end && !ref $end;
    work_off(jobs());
    $end->() if ref $end && !$stop;
    return finish();
}

# Begins what is queued, up to the limit at a time, until nothing is left or the command is stopped.
sub work_off {
    my ($jobs) = @_;
    my $next = $began + 1;
    my $shows = shows_progress();
    vec(my $readable = '', IO::AIO::poll_fileno(), 1) = 1;
    until ($stop) {
        (pop @queue)->() while @queue && !$stop && IO::AIO::nreqs() < $jobs;
        last if !@queue && !IO::AIO::nreqs();
        if ($shows || %follow || defined $deadline) {
            my $now = Time::HiRes::time();
            $stop ||= 'timeout' if defined $deadline && $now >= $deadline;
            $_->() for values %follow;
            if ($shows && $now >= $next) {
                show_progress($now - $began);
                $next = $now + 0.2;
            }
        }
        IO::AIO::poll_cb() and next;
        next if @queue && IO::AIO::nreqs() < $jobs;
        flush_out() if length $out && Time::HiRes::time() >= $flush;
        select my $ready = $readable, undef, undef, $shows || %follow || defined $deadline ? 0.1 : undef if IO::AIO::nreqs();
    }
}

# The end of each command: nothing unfinished is left, the result is printed, and the status says how it was.
sub finish {
    hide_progress();
    my $quiet = $stop && ($stop eq 'PIPE' || $stop eq 'output');
    clean_up() if $stop;
    if ($stop && !$quiet) {
        my $why = $stop eq 'timeout' ? 'timed out' : 'interrupted';
        print STDERR "aio $verb: $why: " . summary() . "\n";
    }
    result() unless $quiet;
    flush_out();
    my %status = (INT => 130, TERM => 143, HUP => 129, PIPE => 141);
    return $status{$stop} || 1 if $stop;
    return $failures ? 1 : 0;
}

sub clean_up {
    @queue = ();
    require POSIX;
    local @SIG{qw(INT TERM)} = (sub { POSIX::_exit(130) }) x 2;
    my $until = Time::HiRes::time() + (%active ? 5 : 0);    # what hangs is left behind
    $_->cancel for values %active;
    while (IO::AIO::nreqs() && Time::HiRes::time() < $until) {
        $_->() for values %follow;
        IO::AIO::poll_cb();
        select undef, undef, undef, 0.01 if IO::AIO::nreqs();
    }
    flush_out();
    IO::AIO::reinit() if IO::AIO::nreqs();
}

# Begins a request on a tree: $begin gets the callback for its end. It is cancelled when the command is stopped.
sub tree {
    my ($begin, $done) = @_;
    my $key = ++$trees;
    my $request = $begin->(sub { delete $active{$key}; $done->(@_) });
    $active{$key} = $request;
    return $key;
}

# The same for one that is asked now and then what it has done, and for what it reads.
sub follow {
    my ($begin, $ask, $done, $source) = @_;
    my $key;
    $key = tree($begin, sub {
        delete $_->{$key} for \(%follow, %source);
        $measure->cancel if $measure && !%follow;
        $done->(@_);
    });
    $follow{$key} = $ask;
    $source{$key} = $source;
}

# Finds out how much there is to be read, when somebody wants to see how far it is.
sub measure {
    $measure and return;
    $measure = IO::AIO::aio_group(sub { });
    for my $source (values %source) {
        $measure->add(IO::AIO::aio_du($source, { walk_options(), root => 1, parallel => 1 }, sub {
            $total{octets} += $_[0]{octets} if $_[0];
        }));
    }
}

# What all requests that walk have in common.
sub walk_options { (parallel => jobs(), one_file_system => $option{'one-file-system'}) }
sub jobs { $option{jobs} // 16 }

# The name of something in a directory; "" is the directory itself.
sub below { my ($dir, $path) = @_; length $path ? ($dir =~ s{/+\z}{}r) . "/$path" : $dir }

# Queues a function that begins a request, or some. The last one is called first, so that trees are walked into depth.
sub job { push @queue, $_[0] }

# ---- command lines -------------------------------------------------------------------------------

sub verb_row { my ($name) = @_; (grep $_->[0] eq $name, @VERB)[0] }

sub options_of {
    my ($verb) = @_;
    return grep { $_->[3] eq '' || " $_->[3] " =~ / \Q$verb\E / } @OPTION;
}

sub plain { my ($name) = @_; $name =~ s/^\[no-\]//r }

# Takes the options out of the arguments; returns what is wrong with them, or undef.
sub parse {
    my ($verb, $args) = @_;
    my (%long, %short, @rest);
    for my $row (options_of($verb)) {
        my $name = plain($row->[0]);
        $long{$name} = [$name, $row->[2], 1];
        $long{"no-$name"} = [$name, '', 0] if $name ne $row->[0];
        $short{ $row->[1] } = $long{$name} if length $row->[1];
    }
    while (@$args) {
        my $arg = shift @$args;
        if ($arg eq '--') {
            push @rest, splice @$args;
        } elsif ($arg =~ /^--([^=]+)(?:=(.*))?\z/s) {
            my $wrong = set($long{$1}, "--$1", $2, $args);
            return $wrong if defined $wrong;
        } elsif ($arg =~ /^-(.+)\z/s) {
            my $letters = $1;
            while ($letters =~ s/^(.)//s) {
                my $row = $short{$1} or return qq($verb has no option -$1);
                my $value = $row->[1] ne '' && length $letters ? $letters : undef;
                $letters = '' if defined $value;
                my $wrong = set($row, "-$1", $value, $args);
                return $wrong if defined $wrong;
            }
        } else {
            push @rest, $arg;
        }
    }
    @$args = @rest;
    return;
}

sub set {
    my ($row, $as, $value, $args) = @_;
    $row or return "$verb has no option $as";
    my ($name, $kind, $on) = @$row;
    if ($kind eq '') {
        return "$as takes no value" if defined $value;
        $option{$name} = $on;
        return;
    }
    $value = shift @$args if !defined $value && @$args;
    defined $value or return "$as takes a value: $kind";
    my $is_fine = $kind eq 'N' ? $value =~ /^\d{1,9}\z/ && ($value > 0 || $name ne 'jobs')
        : $kind eq 'SECONDS' ? $value =~ /^(?:\d+\.?\d*|\.\d+)\z/
        : $kind =~ /\|/ ? grep $_ eq $value, split /\|/, $kind
        : 1;
    $is_fine or return "$as takes a value: $kind";
    $option{$name} = $value;
    return;
}

sub usage {
    my ($wrong) = @_;
    print STDERR 'aio: ' . quoted($wrong) . "\n", $verb ? "try: aio $verb --help\n" : "try: aio --help\n";
    return 2;
}

sub version {
    print "aio $VERSION (IO::AIO $IO::AIO::VERSION, engine " . (IO::AIO::engine())[0] . ")\n";
    return 0;
}

sub help       { require IO::AIO::Tool::Help; goto &IO::AIO::Tool::Help::help }
sub completion { require IO::AIO::Tool::Help; goto &IO::AIO::Tool::Help::completion }

# ---- output --------------------------------------------------------------------------------------

my $is_terminal;

# Prints octets to standard output. When that cannot be, the command ends.
sub out {
    $out .= $_[0];
    flush_out() if length $out >= 1 << 16;
}

sub flush_out {
    $flush = Time::HiRes::time() + 0.05;    # who reads sees what there is
    hide_progress() if length $out && ($is_terminal //= -t STDOUT);
    while (length $out) {
        my $written = syswrite STDOUT, $out;
        if (defined $written) {
            substr $out, 0, $written, '';
        } elsif (!$!{EINTR} || $stop) {
            $out = '';
            last if $stop;
            if ($!{EPIPE}) { $stop = 'PIPE'; last }
            complain('standard output');
            $stop = 'output';
        }
    }
}

sub shows_names { $is_terminal //= -t STDOUT; $is_terminal && !$option{null} }
sub end_of_line { $option{null} ? "\0" : "\n" }

# Prints a line with a name at its end.
sub out_name {
    my ($path, $before) = @_;
    out(($before // '') . ($option{null} ? "$path\0" : shown($path) . "\n"));
}

# A name as lines of output have it: what would move the cursor is quoted where there is one.
sub shown { $is_terminal //= -t STDOUT; $is_terminal ? quoted($_[0]) : $_[0] }

# A name as a shell would read it, if it has octets that are no printable text; else as it is.
sub quoted {
    my ($name) = @_;
    return $name unless $name =~ /[^\x20-\x7e]/;
    my $text = $name;
    return $name if is_utf8($text) && utf8::decode($text) && $text !~ /[\p{Cc}\p{Cf}\x{2028}\x{2029}]/;
    $name =~ s/([\\'])/\\$1/g;
    $name =~ s/([^\x20-\x7e])/sprintf '\\%03o', ord $1/ge;
    return "\$'$name'";
}

sub is_utf8 {
    $_[0] =~ /\A(?:[\x00-\x7f]++|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}
        |\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})*+\z/x;
}

# Prints an object. Values are strings, or references to numbers. A string that is no UTF-8 gets another name.
sub object {
    my (@pairs) = @_;
    my @members;
    while (my ($key, $value) = splice @pairs, 0, 2) {
        if (ref $value) {
            $value = $$value;
        } elsif (is_utf8($value)) {
            $value =~ s/(["\\])/\\$1/g;
            $value =~ s/([\x00-\x1f\x7f])/sprintf '\\u%04x', ord $1/ge;
            $value = qq("$value");
        } else {
            require MIME::Base64;
            ($key, $value) = ("${key}_base64", '"' . MIME::Base64::encode_base64($value, '') . '"');
        }
        push @members, qq("$key":$value);
    }
    out('{' . join(',', @members) . "}\n");
}

# What has been done, as text and as the last object.
sub summary {
    my ($row) = verb_row($verb);
    my @parts = map { ($count{$_} || 0) . " $_" } @{ $row->[5] };
    push @parts, "$failures failed" if $failures;
    return join ', ', @parts;
}

sub result {
    $option{json} or return;
    my ($row) = verb_row($verb);
    object(type => 'result', verb => $verb, (map { $_ => \($count{$_} || 0) } @{ $row->[5] }),
        failed => \$failures, stopped => \($stop ? 'true' : 'false'),
        seconds => \sprintf '%.3f', Time::HiRes::time() - $began);
}

# Says that something failed, by $! or what is given.
sub failed {
    my ($path, $error) = @_;
    $error //= "$!";
    complain($path, $error);
    object(type => 'error', path => $path, error => $error) if $option{json};
}

sub complain {
    my ($path, $error) = @_;
    $error //= "$!";
    $failures++;
    hide_progress();
    print STDERR "aio $verb: " . quoted($path) . ": $error\n";
}

# ---- progress ------------------------------------------------------------------------------------

my $shown = 0;

# Standard error is a terminal, and nobody writes lines there but us.
sub shows_progress {
    return 0 unless -t STDERR && ($option{progress} // 1);
    return $option{progress} || !-t STDOUT || $verb =~ /^(?:cp|mv|rm|sync)\z/;
}

sub show_progress {
    my ($seconds) = @_;
    my $octets = $count{octets};
    measure() if %follow;
    my $all = ($total{octets} || 0) - ($total{spared} || 0);
    my @parts = map "$count{$_} $_", grep { $_ ne 'octets' && $count{$_} } @{ verb_row($verb)->[5] };
    if (defined $octets) {
        push @parts, size($octets) . ($all > $octets ? ' of ' . size($all) : ''), size($octets / $seconds) . '/s';
        push @parts, left(($all - $octets) * $seconds / $octets) . ' left' if $octets && $all > $octets;
    } else {
        my $entries = 0;
        $entries += $_ for values %count;
        push @parts, sprintf '%d/s', $entries / $seconds;
    }
    my $text = join '  ', @parts;
    my $width = columns() - 1;
    $text = substr $text, 0, $width if length $text > $width;
    print STDERR "\r$text\e[K";
    $shown = 1;
}

sub hide_progress {
    print STDERR "\r\e[K" if $shown;
    $shown = 0;
}

# The width that the terminal has now.
sub columns {
    my $size = "\0" x 8;
    if ($^O eq 'linux' && ioctl STDERR, 0x5413, $size) {    # TIOCGWINSZ
        my (undef, $columns) = unpack 'S2', $size;
        return $columns if $columns;
    }
    return ($ENV{COLUMNS} || '') =~ /^([1-9]\d*)\z/ ? $1 : 80;
}

sub size {
    my ($octets) = @_;
    my @unit = ('', qw(K M G T P E));
    while ($octets >= 1000 && @unit > 1) {
        $octets /= 1024;
        shift @unit;
    }
    return sprintf @unit == 7 || $octets >= 100 ? '%.0f%sB' : '%.1f%sB', $octets, $unit[0];
}

sub left {
    my ($seconds) = @_;
    return $seconds >= 3600 ? sprintf '%d:%02d:%02d', $seconds / 3600, $seconds / 60 % 60, $seconds % 60
        : sprintf '%d:%02d', $seconds / 60, $seconds % 60;
}

1;
