package IO::AIO::Tool::Remove;

# rm. What is refused is looked for first in the name and then in what it leads to, so that neither slashes at the end nor a
# link or a mount lead around it.

use strict;
use warnings;

our $VERSION = '5.0';

use IO::AIO::Tool;
use IO::AIO;

my @top;    # device and inode of the root directory

sub rm {
    my (@paths) = @_;
    @top = stat '/';
    remove($_) for reverse @paths;
    return;
}

# Why a name is refused, before anything is asked of the system.
sub refused {
    my ($path) = @_;
    return "refused: it is the root directory" if $path =~ m{\A/+\z};
    return 'refused: it is "." or ".."' if $path =~ m{(?:\A|/)\.\.?/*\z};
    return;
}

sub remove {
    my ($path) = @_;
    my $refused = refused($path);
    return job(sub { failed($path, $refused) }) if $refused;
    my $name = $path =~ s{/+\z}{}r;
    job(sub {
        aio_lstat $name, sub {
            if ($_[0]) {
                return if $option{force} && $!{ENOENT} && length $path;
                return failed($path);
            }
            my @stat = lstat _;
            return remove_file($path, $name) unless -d _ ;
            return failed($path, 'refused: it is the root directory') if $stat[0] == $top[0] && $stat[1] == $top[1];
            return failed($path, 'Is a directory (-r removes it)') unless $option{recursive};
            remove_tree($path, $name, $stat[0]);
        };
    });
}

sub remove_file {
    my ($path, $name) = @_;
    if ($path ne $name) {
        $! = 20;    # as for the system: a slash at the end wants a directory
        return failed($path, 'Not a directory');
    }
    aio_unlink $name, sub {
        return if $_[0] && $option{force} && $!{ENOENT};
        $_[0] ? failed($path) : removed($path);
    };
}

sub removed {
    my ($path) = @_;
    $count{removed}++;
    return object(type => 'removed', path => $path) if $option{json};
    out(($option{null} ? $path : IO::AIO::Tool::shown($path)) . ($option{null} ? "\0" : "\n")) if $option{verbose};
}

sub remove_tree {
    my ($path, $name, $device) = @_;
    my $begin = sub {
        $active{$name} = aio_rmtree $name, sub {
            delete $active{$name};
            $_[0] ? failed($path) : removed($path);
        };
    };
    return $begin->() unless $option{'one-file-system'};
    other_device($name, $device, sub {
        my ($mount) = @_;
        defined $mount ? failed($mount, "on another file system, so $path is left") : $begin->();
    });
}

# Looks for a directory of another file system; calls back with one, or undef.
sub other_device {
    my ($top, $device, $done) = @_;
    my ($waiting, $found) = (0);
    my $visit;
    $visit = sub {
        my ($dir) = @_;
        $waiting++;
        job(sub {
            aio_lstat $dir, sub {
                $found //= $dir if !$_[0] && (lstat _)[0] != $device;
                aio_scandir $dir, 0, sub {
                    my ($dirs) = @_;
                    if (!defined $found) { $visit->("$dir/$_") for @{ $dirs || [] } }
                    $done->($found), undef $visit unless --$waiting;
                };
            };
        });
    };
    $visit->($top);
}

1;
