# Completion of dogwatch's commands, options and events for bash. It asks the program, and so knows what that knows.

_dogwatch() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
    local commands='dogwatch help | sed -n "s/^    \([a-z-]*\) .*/\1/p"'
    local words=
    if ((COMP_CWORD == 1)) || [[ $command == help ]]; then
        words=$(eval "$commands")
    elif [[ $before == -e || $before == --event || ($command == explain && $COMP_CWORD == 2) ]]; then
        words=$(dogwatch list-events | sed 's/ .*//')
    elif [[ $before == --init ]]; then
        # What it says to a name that is none.
        words=$(dogwatch install --init '' 2>&1 | sed -n 's/.*--init takes one of: //p' | tr -d ,)
    elif [[ $word == -* ]]; then
        words=$(dogwatch help "$command" 2>/dev/null | grep -oE '^ {4,8}-[^ ]*( --[^ ]*)?' | tr -d ,)
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

# What it does not know are files.
complete -o default -F _dogwatch dogwatch
