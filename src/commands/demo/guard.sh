# Stops what the demo started and removes its folder, once the demo has ended.
#
# Usage: guard.sh FOLDER, with standard input a pipe from the demo. Its end, and be it by SIGKILL,
# closes the pipe. Each started process is the leader of a process group and has left a file
# FOLDER/NAME/pid with the signal that ends it and its id.
set -u
folder=$1
# What is sent to the terminal's processes is not for this one.
trap '' HUP INT TERM
while read -r _; do :; done

signal_all() { # a signal to send instead of the one in the file, or nothing
    for file in "$folder"/*/pid; do
        if [ -f "$file" ] && read -r signal id <"$file"; then
            kill -s "${1:-$signal}" -- "-$id" 2>/dev/null
        fi
    done
}
any_left() {
    for file in "$folder"/*/pid; do
        if [ -f "$file" ] && read -r signal id <"$file" && kill -s 0 -- "-$id" 2>/dev/null; then
            return 0
        fi
    done
    return 1
}
wait_for_all() { # at most so many times 20 ms
    turns=$1
    while [ "$turns" -gt 0 ] && any_left; do
        sleep 0.02
        turns=$((turns - 1))
    done
}

signal_all
wait_for_all 250
signal_all KILL
wait_for_all 50
rm -rf -- "$folder"
