package IO::AIO::Tool::Help;

# Help and completions, made from the tables of IO::AIO::Tool.

use strict;
use warnings;

our $VERSION = '5.0';

use IO::AIO::Tool ();

sub help {
    my ($verb) = @_;
    my $text = !defined $verb || $verb eq '' ? overview() : verb_help($verb);
    defined $text or return IO::AIO::Tool::usage(qq("$verb" is no verb));
    print $text;
    return 0;
}

sub overview {
    my $text = "usage: aio VERB [OPTION...] ARGUMENT...\n\n";
    $text .= sprintf "  %-5s %-17s %s\n", $_->[0], $_->[2], $_->[4] for @IO::AIO::Tool::VERB;
    return "$text\n  aio VERB --help tells the options of a verb, aio --version the version.\n";
}

sub verb_help {
    my ($verb) = @_;
    my $row = IO::AIO::Tool::verb_row($verb) or return;
    my $text = "usage: aio $verb [OPTION...] $row->[2]\n$row->[4]\n\n";
    for my $option (IO::AIO::Tool::options_of($verb)) {
        my ($name, $letter, $kind, undef, $does) = @$option;
        my $value = $kind eq '' ? '' : $kind =~ /\|/ ? '=WHICH' : "=$kind";
        $does .= ": $kind" if $kind =~ /\|/;
        $text .= sprintf "  %-4s--%-21s %s\n", length $letter ? "-$letter, " : '', "$name$value", $does;
    }
    return $text;
}

sub completion {
    my ($shell) = @_;
    my $code = { bash => \&bash, zsh => \&zsh }->{ $shell // '' } or return IO::AIO::Tool::usage('--completion takes bash or zsh');
    print $code->();
    return 0;
}

# The options of a verb, each with its dashes.
sub flags {
    my ($verb) = @_;
    return map {
        my $name = IO::AIO::Tool::plain($_->[0]);
        ("--$name", ($name ne $_->[0] ? "--no-$name" : ()), (length $_->[1] ? "-$_->[1]" : ()));
    } IO::AIO::Tool::options_of($verb);
}

sub bash {
    my @verbs = map $_->[0], @IO::AIO::Tool::VERB;
    my $cases = join '', map "    $_) options='" . join(' ', flags($_)) . "' ;;\n", @verbs;
    my $values = join '', map {
        my @names = ('--' . IO::AIO::Tool::plain($_->[0]), length $_->[1] ? "-$_->[1]" : ());
        my $verbs = join '|', length $_->[3] ? split(' ', $_->[3]) : '*';
        my $words = $_->[2] =~ /\|/ ? $_->[2] =~ tr/|/ /r : '';
        "    " . join('|', map { my $name = $_; map "$_:$name", split /\|/, $verbs } @names)
            . ") COMPREPLY=(\$(compgen -W '$words' -- \"\$word\")); return ;;\n";
    } grep length $_->[2], @IO::AIO::Tool::OPTION;
    return <<"BASH";
# Completion of aio for bash; made by: aio --completion bash
_aio() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} verb=\${COMP_WORDS[1]} options=
  if [ "\$COMP_CWORD" = 1 ]; then
    COMPREPLY=(\$(compgen -W '@verbs --help --version' -- "\$word"))
    return
  fi
  case \$verb:\$before in
$values  esac
  case \$verb in
$cases  esac
  case \$word in
    -*) COMPREPLY=(\$(compgen -W "\$options" -- "\$word")) ;;
  esac
}
complete -o default -F _aio aio
BASH
}

sub zsh {
    my $quote = sub { $_[0] =~ s/'/'\\''/gr };
    my $verbs = join '', map "    '$_->[0]:" . $quote->($_->[4]) . "'\n", @IO::AIO::Tool::VERB;
    my $cases = join '', map {
        my $verb = $_->[0];
        "    $verb) _arguments -s" . join('', map zsh_option($_, $quote), IO::AIO::Tool::options_of($verb)) . " '*:file:_files' ;;\n";
    } @IO::AIO::Tool::VERB;
    return <<"ZSH";
#compdef aio
# Completion of aio for zsh; made by: aio --completion zsh
_aio() {
  local -a verbs
  verbs=(
$verbs  )
  if (( CURRENT == 2 )); then
    _describe verb verbs
    return
  fi
  local verb=\$words[2]
  shift words
  (( CURRENT-- ))
  case \$verb in
$cases  esac
}
_aio "\$@"
ZSH
}

sub zsh_option {
    my ($row, $quote) = @_;
    my ($full, $letter, $kind, undef, $does) = @$row;
    my $name  = IO::AIO::Tool::plain($full);
    my $value = $kind eq '' ? '' : $kind =~ /\|/ ? ':value:(' . ($kind =~ tr/|/ /r) . ')' : ":$kind:";
    my $text  = '[' . $quote->($does =~ s/([\[\]:])/\\$1/gr) . ']';
    my @names = ("--$name" . ($kind ne '' ? '=' : ''), ($full ne $name ? "--no-$name" : ()),
        (length $letter ? "-$letter" . ($kind ne '' ? '+' : '') : ()));
    return join '', map " '$_$text$value'", @names;
}

1;
