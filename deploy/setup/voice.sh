# shellcheck shell=bash disable=SC2034  # what is set here is used by those who source it
# Sourced by the setup scripts: where the checkout lies, how they speak, and how the OS's packages are installed.
# Nothing here installs anything by itself.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
SETUP=$ROOT/deploy/setup
VENV=$ROOT/.venv
TOOLS=$ROOT/.tools
DEMO=$ROOT/.demo
SCRIPT=$(basename "$0")

say() { printf '[%s] %s\n' "$SCRIPT" "$*"; }
fail() { printf '[%s] %s\n' "$SCRIPT" "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
may_install() { [ "$(id -u)" = 0 ] && have apt-get; }

# What is missing and how to mend it, in a command the reader can paste: root installs, anyone else is told.
need_packages() { # need_packages WHY PACKAGE...
    local why=$1; shift
    have apt-get || fail "$why needs $*, and this machine has no apt-get: install them with its own package tool, then run this again."
    may_install || fail "$why needs $*: run \`sudo apt-get install --no-install-recommends $*\`, then this again."
    say "installing from the OS's packages: $* ($why)"
    local log; log=$(mktemp)
    if ! apt_install "$@" >"$log" 2>&1; then
        apt-get update >>"$log" 2>&1 || true
        apt_install "$@" >>"$log" 2>&1 || { tail -20 "$log" >&2; fail "apt-get could not install $*: its last lines are above."; }
    fi
    rm -f "$log"
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=600 "$@"
}

engine() { "$VENV/bin/python" "$SETUP/engine.py" "$@"; }

# One setup at a time in one checkout: a second waits here instead of writing into the first one's half-made files.
one_at_a_time() { # one_at_a_time NAME
    mkdir -p "$TOOLS"
    have flock || return 0
    exec 9>"$TOOLS/$1.lock"
    flock -n 9 || { say "another setup is running in this checkout: waiting for it"; flock 9; }
}

first_number() { sed -n 's/^[^0-9]*\([0-9][0-9]*\).*/\1/p;q' "$1" 2>/dev/null; }

# Whether the process whose id a file holds lives and is what we think: process ids are used again.
runs() { # runs PIDFILE WORD
    local pid command
    pid=$(first_number "$1") && [ -n "$pid" ] || return 1
    if [ -r "/proc/$pid/cmdline" ]; then command=$(tr '\0' ' ' <"/proc/$pid/cmdline"); else command=$(ps -o command= -p "$pid" 2>/dev/null); fi
    case $command in *"$2"*) return 0 ;; *) return 1 ;; esac
}
