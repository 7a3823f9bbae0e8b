#!/usr/bin/env bash
# Tries the README's commands on new Debian machines that have python3 and git, and nothing else.
#
#   sudo tests/fresh_machine.sh [12|13]...        both when none is given
#
# It needs debootstrap, root, 20 GB of disk and half an hour. Of the working copy, what is committed is tried.
#
#   FRESH     where the machines are put (default: /tmp); they stay there, and fresh-base-* are used again
#   MIRROR    Debian's packages (default: debootstrap's own)
#   COPY      files of this machine that the new one gets under the same paths: pip's configuration, certificates
#   PASS      names of environment variables that it gets, such as PIP_CONFIG_FILE
#   COMMANDS  what is run, one command a line (default: those of the README)
set -euo pipefail

project=$(cd "$(dirname "$0")/.." && pwd)
where=${FRESH:-/tmp}
commands=${COMMANDS:-"python3 install.py demo
python3 install.py test"}
declare -A suites=([12]=bookworm [13]=trixie)
failed=0

# A debootstrap folder with python3 and git.
make_base() {
    local suite=$1 base=$2
    [ -e "$base/finished" ] && return
    rm -rf "$base"
    # shellcheck disable=SC2086  # no word when there is no mirror
    debootstrap --variant=minbase --include=ca-certificates,python3,git "$suite" "$base" ${MIRROR:-} > "$base.log"
    touch "$base/finished"
}

# Run a command line in the new machine, in the clone.
on_machine() {
    local root=$1 line=$2 name passed=()
    for name in ${PASS:-}; do
        passed+=("$name=${!name}")
    done
    # shellcheck disable=SC2016  # expanded by the inner shell
    unshare --mount --pid --fork --kill-child --propagation private bash -c '
        root=$1; shift
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount -t sysfs sysfs "$root/sys"
        exec chroot "$root" "$@"
    ' _ "$root" env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        "${passed[@]}" sh -c "cd /root/collaborative-cameras && $line"
}

for version in "${@:-12 13}"; do
    for number in $version; do
        base=$where/fresh-base-$number root=$where/fresh-$number
        make_base "${suites[$number]}" "$base"
        rm -rf "$root"
        cp -a "$base" "$root"
        printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
        chmod +x "$root/usr/sbin/policy-rc.d"
        for file in ${COPY:-}; do
            mkdir -p "$root$(dirname "$file")"
            cp "$file" "$root$file"
        done
        git clone --quiet "$project" "$root/root/collaborative-cameras"
        while read -r line; do
            echo "== Debian $number: $line"
            start=$SECONDS
            if on_machine "$root" "$line" < /dev/null; then outcome=finished; else outcome=FAILED failed=1; fi
            echo "== Debian $number: $line: $outcome after $((SECONDS - start)) s"
        done <<< "$commands"
        echo "== Debian $number: $(du -sh --exclude=proc --exclude=sys --exclude=dev "$root" | cut -f1) in all"
    done
done
exit $failed
