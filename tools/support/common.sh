# Sourced by tools/run, tools/test and what they call: messages, and the Debian packages that are missing.
# shellcheck shell=bash

started_at=$SECONDS

# say TEXT: one line of progress with the time since the start, on standard error.
say() {
    printf '[%4ds] %s\n' $((SECONDS - started_at)) "$*" >&2
}

# fail TEXT: says why nothing can go on, and ends with 1.
fail() {
    printf '%s: error: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

require_swift() {
    if ! command -v swift >/dev/null; then
        fail "there is no 'swift' in PATH. Install Swift 6.3 for Debian 12 from https://www.swift.org/install/linux/ and try again."
    fi
    local version
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9]*\.[0-9][0-9]*\).*/\1/p' | head -n 1)
    if [[ -z $version ]] || [[ $(printf '%s\n6.3\n' "$version" | sort -V | head -n 1) != 6.3 ]]; then
        fail "Swift 6.3 or newer is needed; this is ${version:-an unknown version} ($(command -v swift))."
    fi
}

# install_missing PACKAGE...: installs those that are not there yet, and says so; asks apt for nothing else.
install_missing() {
    local package missing=() as_root=()
    for package in "$@"; do
        if ! dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed; then
            missing+=("$package")
        fi
    done
    ((${#missing[@]})) || return 0
    if ((EUID != 0)); then
        command -v sudo >/dev/null ||
            fail "these Debian packages are missing: ${missing[*]}. Install them as root: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    say "installing Debian packages: ${missing[*]}"
    local log
    log=$(mktemp)
    forbid_daemons "${as_root[@]}"
    if ! { "${as_root[@]}" apt-get update &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${missing[@]}"; } \
        >"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        allow_daemons "${as_root[@]}"
        fail "apt-get could not install ${missing[*]}"
    fi
    rm -f "$log"
    allow_daemons "${as_root[@]}"
}

# forbid_daemons [sudo]: packages such as a broker's start a daemon when they are installed, unless this file, which
# Debian asks, says no. An answer that is there already stays.
forbid_daemons() {
    [[ -e /usr/sbin/policy-rc.d ]] && return 0
    policy_is_ours=true
    printf '#!/bin/sh\nexit 101\n' | "$@" tee /usr/sbin/policy-rc.d >/dev/null
    "$@" chmod 755 /usr/sbin/policy-rc.d
}

# allow_daemons [sudo]: takes that answer away again, if it was ours.
allow_daemons() {
    if [[ ${policy_is_ours:-} == true ]]; then "$@" rm -f /usr/sbin/policy-rc.d; fi
    policy_is_ours=false
}

# What building needs besides Swift itself: git for the packages, zlib for AsyncHTTPClient, LMDB for the log,
# xxHash for its commits, librabbitmq for the broker, zstd for the log's archive.
# shellcheck disable=SC2034 # used by the scripts that source this
build_packages=(
    ca-certificates git libc6-dev libstdc++-12-dev zlib1g-dev liblmdb-dev libxxhash-dev librabbitmq-dev libzstd-dev
)

# How the tests and what they start are built: optimized, as users run it and in half the time that tests of a build
# for debugging take; without what only a debugger reads, which nobody looks at here; in a place of its own, since
# tests look at names that users' programs do not show.
# shellcheck disable=SC2034 # used by the scripts that source this
test_build=(-c release -debug-info-format none -Xswiftc -enable-testing --scratch-path .build/tests)
